"""Enrolled hosts into the fleet file: lines at the end of its `hosts`, and not a character of it changed otherwise.

Text is put in rather than the document written anew: a round trip of the YAML would keep comments and yet indent lists
and break lines in its own way, and the operator's next diff would be full of it. What comes out is read before it
counts: it has to be the old fleet and these hosts.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from livefleet.control.enrol.records import HostRecord, HostState
from livefleet.control.enrol.slices import host_layer
from livefleet.control.enrol.tokens import TemplateKind
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.kernel.durable_file import write_durably
from livefleet.spec import load_fleet
from livefleet.spec.document import Document, parse_document, read_document

__all__ = ["adopt", "newcomers"]

_DEFAULT_INDENT: Final = 2


def newcomers(fleet: Path, hosts: Sequence[HostRecord]) -> tuple[HostRecord, ...]:
    """Those that were let in and are not in the file yet. Raises BadInput."""
    declared = set(load_fleet(fleet).hosts)
    return tuple(
        host
        for host in hosts
        if host.state is HostState.ENROLLED
        and host.name not in declared
        and host.template is not None
        and host.template.kind is TemplateKind.GROUP
    )


def adopt(path: Path, hosts: Sequence[HostRecord], *, write: bool = True) -> str:
    """The lines for these hosts, which are in the file when this returns. Raises BadInput, and then it is untouched."""
    if not hosts:
        return ""
    document = read_document(path)
    text = path.read_text(encoding="utf-8-sig")
    if not text.endswith("\n"):
        text += "\n"
    lines = text.splitlines(keepends=True)
    indent, at = _place(document, lines, path)
    added = "".join(_entry(host, indent) for host in hosts)
    newer = "".join([*lines[:at], added, *lines[at:]])
    _check(document, newer, hosts, path)
    if write:
        _replace(path, newer)
    return added


def _place(document: Document, lines: Sequence[str], path: Path) -> tuple[int, int]:
    """How far hosts are indented, and before which line (from 0) the new ones go."""
    top = document.place.children
    section = top["hosts"]
    first = min((place for place in section.children.values()), key=lambda place: place.key_line)
    if first.key_line == section.key_line or lines[section.key_line - 1].split("#")[0].rstrip()[-1:] != ":":
        raise BadInput(
            f"{path}:{section.key_line}:{section.key_column}: `hosts` stands in braces on one line; write it over"
            " several lines, then run this again"
        )
    indent = first.key_column - 1
    after = [place.key_line - 1 for place in top.values() if place.key_line > section.key_line]
    end = min([*after, *_document_end(lines)], default=len(lines))
    while end > section.key_line and _is_between(lines[end - 1]):
        end -= 1
    return indent, end


def _document_end(lines: Sequence[str]) -> list[int]:
    return [index for index, line in enumerate(lines) if line.rstrip() == "..."][:1]


def _is_between(line: str) -> bool:
    """Whether the line belongs to what follows: empty, or a comment that is not indented."""
    return not line.strip() or line.startswith("#")


def _entry(host: HostRecord, indent: int) -> str:
    assert host.name is not None
    assert host.template is not None
    layer = host_layer(host.name, host.template)
    when = datetime.fromtimestamp(host.enrolled_at or host.asked_at, UTC)
    what = f"enrolled {when:%Y-%m-%d} by {'approval' if host.token_id is None else f'token {host.token_id}'}"
    one, two = " " * indent, " " * (indent + _DEFAULT_INDENT)
    return (
        f"{one}{host.name}: # {what}\n{two}address: {layer['address']} # it pulls; nobody goes to it by ssh\n"
        f"{two}groups: [{', '.join(layer['groups'])}]\n"
    )


def _check(document: Document, newer: str, hosts: Sequence[HostRecord], path: Path) -> None:
    data = parse_document(newer, str(path)).data
    wanted = dict(document.data)
    new = {str(host.name): host_layer(str(host.name), host.template) for host in hosts if host.template is not None}
    wanted["hosts"] = {**document.data["hosts"], **new}
    if data != wanted:
        raise BadInput(f"{path}: these hosts cannot be put in without changing the rest; add them by hand: {list(new)}")


def _replace(path: Path, text: str) -> None:
    """Old or new, with the old one's mode and through a link."""
    try:
        real = path.resolve()
        write_durably(real, text.encode(), mode=real.stat().st_mode & 0o777)
    except OSError as error:
        raise OutsideWorld(f"{path}: cannot be written: {error.strerror}") from error
