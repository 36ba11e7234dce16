"""YAML and JSON of other programs, with positions: anchors, aliases and merge keys understood, and bounded.

Everything stays text: what `yes`, `0x1f` or `08` mean is for each reader to say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import MappingEndEvent, MappingStartEvent, SequenceEndEvent, SequenceStartEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from livefleet.control.importer.findings import Spot
from livefleet.spec import Problem, SpecError

__all__ = ["Item", "read_items"]

_MAX_DEPTH: Final = 60
_MAX_ITEMS: Final = 50_000  # aliases counted as often as they are used
_MAX_BRACKETS: Final = 200  # open at once; the reader looks far ahead after each
_BRACKET: Final = re.compile(r"[\[\]{}]")
_HINT: Final = "give the part that starts the node"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "yes", "on", "1"})


@dataclass(frozen=True, slots=True)
class Item:
    """A value: text, a list or a mapping, and where it stands."""

    spot: Spot
    text: str | None = None  # None: a list, a mapping, or null
    entries: tuple["Item", ...] = ()
    fields: dict[str, "Item"] = field(default_factory=dict)
    key_spots: dict[str, Spot] = field(default_factory=dict)
    is_list: bool = False
    raw: str = ""  # as it stands in the source, quotes included

    @property
    def is_null(self) -> bool:
        """Whether nothing is said."""
        return self.text is None and not self.is_list and not self.fields

    @property
    def is_true(self) -> bool:
        """Whether it says yes."""
        return (self.text or "").lower() in _TRUE

    def at(self, *path: str) -> "Item":
        """What stands there; null where nothing does."""
        item = self
        for key in path:
            item = item.fields.get(key) or Item(item.spot)
        return item

    def word(self, *path: str) -> str:
        """The text there; empty where there is none."""
        return self.at(*path).text or ""

    def pairs(self, separator: str = "=") -> Iterator[tuple[str, "Item"]]:
        """A mapping's fields, or a list's `NAME=VALUE` texts; a name alone has null."""
        if not self.is_list:
            yield from self.fields.items()
            return
        for entry in self.entries:
            name, found, value = (entry.text or "").partition(separator)
            yield name, Item(entry.spot, value if found else None, raw=entry.raw)

    def inside(self, fragment: str, start: int = 0) -> tuple[Spot, int]:
        """Where a fragment of the text stands in the source, looked for from an index of `raw` on."""
        at = self.raw.find(fragment, start) if fragment else -1
        if at < 0:
            return self.spot, start
        head = self.raw[:at]
        line = self.spot.line + head.count("\n")
        column = len(head) - head.rfind("\n") if "\n" in head else self.spot.column + at
        return Spot(self.spot.file, line, column), at + len(fragment)


def read_items(text: str, file: str) -> tuple[Item, ...]:
    """Each document of a YAML or JSON text. Raises SpecError with a position where it cannot be read."""
    plain = text.replace("\t", " ") if text.lstrip()[:1] in ("{", "[") else text  # as wide, and JSON allows tabs
    _check_brackets(plain, file)
    try:
        loader = YAML(typ="safe", pure=True)
        loader.composer.warn_double_anchors = False  # the later one counts, as YAML has it
        nodes = list(loader.compose_all(plain))
    except RecursionError:
        _check_depth(plain, file)
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = str(error.problem or error.context or "it cannot be read").removeprefix("while ")
        raise SpecError([Problem(file, line, column, f"not YAML: {what}")]) from error
    except ReaderError as error:
        head = plain[: error.position]
        line, column = head.count("\n") + 1, len(head) - head.rfind("\n")
        raise SpecError([Problem(file, line, column, "not YAML: an unprintable character", "remove it")]) from error
    builder = _Builder(file, plain)
    return tuple(builder.item(node, 0) for node in nodes if node is not None)


def _check_brackets(text: str, file: str) -> None:
    """Refuse what the reader would take minutes for: its time grows with the square of the brackets that are open."""
    depth = 0
    for found in _BRACKET.finditer(text):
        depth = max(depth + (1 if found[0] in "[{" else -1), 0)
        if depth > _MAX_BRACKETS:
            line = text.count("\n", 0, found.start()) + 1
            column = found.start() - text.rfind("\n", 0, found.start())
            raise SpecError([Problem(file, line, column, f"more than {_MAX_BRACKETS} brackets are open", _HINT)])


def _check_depth(text: str, file: str) -> None:
    """Say where it is nested too deeply."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise _stop(file, event.start_mark, f"nested deeper than {_MAX_DEPTH} levels")
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            depth -= 1


def _stop(file: str, mark: Any, message: str) -> SpecError:
    return SpecError([Problem(file, mark.line + 1, mark.column + 1, message, _HINT)])


class _Builder:
    """Turns nodes into items, and counts them."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._count = 0

    def item(self, node: Any, depth: int) -> Item:
        self._count += 1
        if depth > _MAX_DEPTH:
            raise _stop(self._file, node.start_mark, f"nested deeper than {_MAX_DEPTH} levels")
        if self._count > _MAX_ITEMS:
            raise _stop(self._file, node.start_mark, f"more than {_MAX_ITEMS} values, aliases counted as often as used")
        mark = node.start_mark
        spot = Spot(self._file, mark.line + 1, mark.column + 1)
        match node:
            case ScalarNode():
                return self._scalar(node, spot)
            case SequenceNode():
                return Item(spot, entries=tuple(self.item(entry, depth + 1) for entry in node.value), is_list=True)
            case MappingNode():
                return self._mapping(node, spot, depth)
            case _:
                raise _stop(self._file, mark, "an unknown kind of value")

    def _scalar(self, node: Any, spot: Spot) -> Item:
        raw = self._text[node.start_mark.index : node.end_mark.index]
        if node.style is None and node.value in _NULLS:
            return Item(spot, raw=raw)
        # JSON writes a letter beyond 16 bits as two halves; YAML's reader leaves them apart.
        text = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return Item(spot, text, raw=raw)

    def _mapping(self, node: Any, spot: Spot, depth: int) -> Item:
        fields: dict[str, Item] = {}
        key_spots: dict[str, Spot] = {}
        merged: list[Item] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise _stop(self._file, key_node.start_mark, "a key must be plain text")
            value = self.item(value_node, depth + 1)
            if key_node.value == "<<" and key_node.style is None:
                merged += value.entries if value.is_list else [value]
                continue
            place = Spot(self._file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key_node.value in fields:
                first = key_spots[key_node.value].line
                problem = f"key `{key_node.value}` is given twice; first on line {first}"
                raise SpecError([Problem(self._file, place.line, place.column, problem, "keep one")])
            fields[key_node.value] = value
            key_spots[key_node.value] = place
        for other in merged:
            for key, value in other.fields.items():
                if key not in fields:
                    fields[key] = value
                    key_spots[key] = other.key_spots[key]
        return Item(spot, fields=fields, key_spots=key_spots)
