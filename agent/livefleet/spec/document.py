"""YAML with positions: plain data, and beside it where each value stands.

The reader is ruamel's, event by event: its own composer and constructor would cost half as much time again and lose the
keys' positions. The subset is JSON's data model in YAML 1.2's clothes: keys are text as written, there are no anchors,
aliases, merge keys or tags, and `0x...` stays text, since here it is an address and never a number.
"""

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.parser import Parser
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner

from livefleet.spec.problem import Problem, SpecError

__all__ = ["Document", "Place", "parse_document", "read_document"]

_MAX_DEPTH: Final = 40  # far beyond any spec; keeps recursive readers of the data safe
_MERGE: Final = "<<"
_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT: Final = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")


class Place:
    """Where a value stands (lines and columns from 1), and its children by key or index."""

    __slots__ = ("children", "column", "key_column", "key_line", "line")

    def __init__(self, line: int, column: int, key_line: int = 0, key_column: int = 0) -> None:
        self.line = line
        self.column = column
        self.key_line = key_line or line  # a list item has no key: its own position
        self.key_column = key_column or column
        self.children: dict[str | int, Place] = {}


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file. `problems` are those that left the data readable (duplicates, anchors)."""

    file: str
    data: Any
    place: Place
    problems: tuple[Problem, ...] = ()


def read_document(path: Path, *, shown_as: str | None = None) -> Document:
    """Parse a file. Raises SpecError where it cannot be read or is not YAML."""
    file = shown_as or str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpecError([Problem(file, 1, 1, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise SpecError([Problem(file, line, column, "is not UTF-8 text", "save the file as UTF-8")]) from error
    return parse_document(text, file)


def parse_document(text: str, file: str) -> Document:
    """Parse YAML text. Raises SpecError where it is not YAML, with whatever else was found until there."""
    builder = _Builder(file)
    try:
        with _gc_paused():
            for event in _reader().parse(text):
                builder.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = str(error.problem or error.context or "is not YAML").removeprefix("while ")
        raise SpecError(
            [*builder.problems, Problem(file, line, column, f"not YAML: {message}", _hint(message))]
        ) from error
    except ReaderError as error:
        head = text[: error.position]
        line, column = head.count("\n") + 1, len(head) - head.rfind("\n")
        problem = Problem(file, line, column, f"unprintable character U+{ord(text[error.position]):04X}", "remove it")
        raise SpecError([*builder.problems, problem]) from error
    return builder.document()


def _hint(message: str) -> str:
    if "\\t" in message or "'\t'" in message:
        return "indent with spaces; YAML does not allow tabs there"
    if "mapping values are not allowed" in message:
        return "quote the text if it holds `: `, else check the indentation"
    if "expected <block end>" in message or "could not find expected ':'" in message:
        return "check the indentation of this line and the one before, and that each key ends with `:`"
    if "expected ',' or" in message:
        return "a bracket or brace is not closed"
    return ""


@contextmanager
def _gc_paused() -> Iterator[None]:
    # A fleet of 1,000 hosts makes a million short-lived objects; collecting among them takes 40 % of the time.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _reader() -> YAML:
    reader = YAML(typ="safe", pure=True)
    reader.Scanner = _Scanner
    reader.Parser = _Parser
    return reader


class _Scanner(Scanner):
    """Holds its reader. ruamel's own looks it up through the loader at every character, a seventh of the time."""

    reader = None

    def __init__(self, loader: Any) -> None:
        self.reader = loader.reader
        super().__init__(loader)


class _Parser(Parser):
    """Holds its scanner, likewise."""

    scanner = None

    def __init__(self, loader: Any) -> None:
        self.scanner = loader.scanner
        super().__init__(loader)


class _Frame:
    __slots__ = ("data", "key", "key_place", "place")

    def __init__(self, data: Any, place: Place) -> None:
        self.data = data
        self.place = place
        self.key: str | None = None
        self.key_place = place


class _Builder:
    """Turns events into data and places; collects what it can forgive for now."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._stack: list[_Frame] = []
        self._data: Any = None
        self._place: Place | None = None
        self._documents = 0

    def document(self) -> Document:
        return Document(self.file, self._data, self._place or Place(1, 1), tuple(self.problems))

    def take(self, event: Any) -> None:
        match event:
            case ScalarEvent():
                self._scalar(event)
            case MappingStartEvent():
                self._refuse_extras(event)
                self._open({}, event)
            case SequenceStartEvent():
                self._refuse_extras(event)
                self._open([], event)
            case MappingEndEvent() | SequenceEndEvent():
                self._stack.pop()
                self._done()
            case AliasEvent():
                self._problem(
                    event, f"alias `*{event.anchor}` is not supported", "use a group or a profile to share values"
                )
                self._add(None, event)
                self._done()
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._stop(
                        event, "a second document begins here", "keep one document a file: remove the `---`"
                    )
            case _:
                pass

    def _scalar(self, event: Any) -> None:
        if event.anchor or event.ctag:
            self._refuse_extras(event)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.key is None and type(frame.data) is dict:
            self._key(frame, event)
            return
        value = event.value
        self._add(_resolve(value) if event.implicit[0] and not event.style else value, event)
        self._done()

    def _key(self, frame: _Frame, event: Any) -> None:
        key = event.value
        place = frame.key_place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        if key == _MERGE:
            self._problem(event, "merge key `<<` is not supported", "use a group or a profile to share values")
        elif key in frame.data:
            first = frame.place.children[key]
            what = f"host `{key}` is declared twice" if self._path() == "hosts" else f"key `{key}` is given twice"
            self._problem(event, what, f"first on line {first.key_line}", place)
        frame.key = key

    def _open(self, data: Any, event: Any) -> None:
        place = self._add(data, event)
        if len(self._stack) >= _MAX_DEPTH:
            raise self._stop(event, f"nested deeper than {_MAX_DEPTH} levels", "")
        self._stack.append(_Frame(data, place))

    def _add(self, value: Any, event: Any) -> Place:
        mark = event.start_mark
        place = Place(mark.line + 1, mark.column + 1)
        if not self._stack:
            self._data, self._place = value, place
            return place
        frame = self._stack[-1]
        if value is None and frame.key is not None:  # ruamel puts an empty value where the next token stands
            place = Place(frame.key_place.line, frame.key_place.column)
        if type(frame.data) is list:
            frame.place.children[len(frame.data)] = place
            frame.data.append(value)
            return place
        if frame.key is None:
            raise self._stop(event, "a key must be plain text", "quote the value if it begins with `[` or `{`")
        place.key_line, place.key_column = frame.key_place.line, frame.key_place.column
        if frame.key != _MERGE:
            frame.place.children[frame.key] = place
            frame.data[frame.key] = value
        return place

    def _done(self) -> None:
        """A value is complete: a mapping waits for its next key."""
        if self._stack:
            self._stack[-1].key = None

    def _refuse_extras(self, event: Any) -> None:
        if event.anchor:
            self._problem(
                event, f"anchor `&{event.anchor}` is not supported", "use a group or a profile to share values"
            )
        if event.ctag:
            self._problem(event, f"tag `{event.tag}` is not supported", "quote a value to make it text")

    def _path(self) -> str:
        keys = [frame.key for frame in self._stack if frame.key is not None]
        return ".".join(keys)

    def _problem(self, event: Any, message: str, hint: str, place: Place | None = None) -> None:
        where = place or Place(event.start_mark.line + 1, event.start_mark.column + 1)
        self.problems.append(Problem(self.file, where.line, where.column, message, hint, self._path()))

    def _stop(self, event: Any, message: str, hint: str) -> SpecError:
        self._problem(event, message, hint)
        return SpecError(self.problems)


def _resolve(text: str) -> Any:
    """The value of a plain scalar by YAML 1.2's core schema, less hexadecimal and octal numbers."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-.0123456789":
        if _INT.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
    return text
