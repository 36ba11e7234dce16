"""Who did what: lines of JSON on the operator's machine, and the ones that deploys leave on each host. No secrets."""

import contextlib
import getpass
import hashlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from livefleet.control.remote import run_on_host
from livefleet.kernel import BadInput, LivefleetError
from livefleet.spec import Fleet

__all__ = [
    "Deed",
    "HostJournal",
    "append_deed",
    "fetch_journals",
    "note_on_host",
    "operator_name",
    "read_deeds",
    "state_folder",
]

_TIMEOUT_S = 60.0
_NOTE = 'umask 077; printf "%s\\n" "$2" >>"$1" && sync "$1" || exit 1'


class Deed(BaseModel):
    """One line. On a host `host` is empty: it speaks of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    at: float  # unix seconds
    who: str
    action: str  # `apply`, `rollback`, `smoke`, `rollout ID`, `break lock`
    outcome: str
    host: str = ""
    before: str = ""  # release
    after: str = ""
    digest: str = ""  # of the node's specification
    text: str = ""


@dataclass(frozen=True, slots=True)
class HostJournal:
    """A host's own lines, or why there are none."""

    host: str
    deeds: tuple[Deed, ...] = ()
    error: str = ""


def operator_name(environ: Mapping[str, str] = os.environ) -> str:
    """Who works here: $LIVEFLEET_OPERATOR, else this user on this machine."""
    return environ.get("LIVEFLEET_OPERATOR") or f"{getpass.getuser()}@{socket.gethostname()}"


def state_folder(fleet: Fleet, environ: Mapping[str, str] = os.environ) -> Path:
    """Where this machine keeps what it did to the fleet: under $XDG_STATE_HOME, by the fleet file's name and place."""
    place = hashlib.sha256(str(fleet.path.absolute()).encode()).hexdigest()[:8]
    base = Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return base / "livefleet" / f"{fleet.name}-{place}"


def append_deed(path: Path, deed: Deed) -> None:
    """One more line, on the disk before this returns. Raises BadInput where it cannot be written."""
    line = json.dumps(deed.model_dump(exclude_defaults=True)) + "\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error


def read_deeds(path: Path) -> tuple[Deed, ...]:
    """All lines, oldest first; a line that was cut off, or that a newer version wrote, is passed over."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    return _parsed(text)


def note_on_host(fleet: Fleet, name: str, deed: Deed) -> None:
    """One more line in a host's own journal, on its disk before this returns. Raises LivefleetError."""
    folder = str(fleet.node(name).paths.state)
    line = json.dumps(deed.model_dump(exclude_defaults=True, exclude={"host"}))
    command = ["sh", "-c", _NOTE, "journal", f"{folder}/journal.jsonl", line]
    run_on_host(fleet.host(name), command, timeout_s=_TIMEOUT_S)


def fetch_journals(fleet: Fleet, hosts: Sequence[str], *, parallel: int = 16) -> tuple[HostJournal, ...]:
    """The hosts' own journals, `parallel` at a time. Raises BadInput for an unknown host."""
    for name in hosts:
        fleet.node(name)
    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="journal") as pool:
        return tuple(pool.map(lambda name: _fetch(fleet, name), hosts))


def _fetch(fleet: Fleet, name: str) -> HostJournal:
    path = str(fleet.node(name).paths.state / "journal.jsonl")
    script = 'if [ -e "$1" ]; then tail -n 1000 "$1"; fi'
    try:
        text = run_on_host(fleet.host(name), ["sh", "-c", script, "journal", path], timeout_s=_TIMEOUT_S)
    except LivefleetError as error:
        return HostJournal(name, error=str(error))
    return HostJournal(name, _parsed(text))


def _parsed(text: str) -> tuple[Deed, ...]:
    deeds = []
    for line in text.splitlines():
        with contextlib.suppress(ValidationError):
            deeds.append(Deed.model_validate_json(line))
    return tuple(deeds)
