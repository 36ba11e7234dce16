"""A fleet file to be written: values with remarks beside them, in order, as block YAML."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Line", "Section", "Tree", "plain_tree", "put", "write_tree"]

_PLAIN: Final = re.compile(
    r"(?:[0-9]+(?:\.[0-9]+)? (?=[a-zA-Z]))?[A-Za-z/][A-Za-z0-9_./@-]*(?:(?: |:(?=[^\s:]))[A-Za-z0-9_./@%+-]+)*"
)
_ODD: Final = re.compile("[^ -~\u00a1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_INDENT: Final = "  "


@dataclass(frozen=True, slots=True)
class Line:
    """A value and where it came from."""

    value: Any  # text, number, bool, or a list of these or of mappings
    remark: str = ""


Tree = dict[str, Any]  # name to Line or Tree


class Section(Tree):
    """A mapping that has a remark of its own."""

    remark: str = ""


def put(tree: Tree, path: str, value: Any, remark: str = "") -> None:
    """Set a value at a dotted path; mappings on the way are made."""
    *way, last = path.split(".")
    for key in way:
        tree = tree.setdefault(key, {})
    if value == {}:
        section = tree.setdefault(last, Section())
        if isinstance(section, Section):
            section.remark = section.remark or remark
        return
    tree[last] = Line(value, remark)


def plain_tree(tree: Tree) -> dict[str, Any]:
    """The values alone."""
    return {key: plain_tree(value) if isinstance(value, dict) else value.value for key, value in tree.items()}


def write_tree(tree: Tree, head: str = "") -> str:
    """YAML text; `head` becomes remarks at its top."""
    lines = [f"# {_one_line(line)}".rstrip() for line in head.splitlines()]
    return "\n".join([*lines, *_mapping(tree, "")]) + "\n"


def _mapping(tree: Tree, indent: str) -> list[str]:
    lines: list[str] = []
    for key, value in tree.items():
        name = f"{indent}{_scalar(key)}:"
        text = getattr(value, "remark", "")
        remark = f"  # {_one_line(text)}" if text else ""
        if isinstance(value, dict):
            lines += [name + remark, *_mapping(value, indent + _INDENT)] if value else [f"{name} {{}}{remark}"]
            continue
        if isinstance(value.value, list) and any(isinstance(entry, dict) for entry in value.value):
            lines += [name + remark, *_entries(value.value, indent + _INDENT)]
        else:
            lines.append(f"{name} {_flow(value.value)}{remark}")
    return lines


def _entries(entries: list[Any], indent: str) -> list[str]:
    lines: list[str] = []
    for entry in entries:
        inner = _mapping({key: Line(value) for key, value in entry.items()}, indent + _INDENT)
        inner[0] = f"{indent}- {inner[0].lstrip()}"
        lines += inner
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(entry) for entry in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return _ODD.sub(lambda char: f"\\U{ord(char[0]):08x}", json.dumps(text, ensure_ascii=False))


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
