"""A bundle for whoever helps from afar: what each host tells of itself, with secrets masked where they are.

The bundle is a tar.gz with a folder for each host, this machine's journal, and `manifest.json`: hosts, items, and what
could not be had and why.
"""

import base64
import io
import json
import os
import tarfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Final

from livefleet import __version__
from livefleet.control.host import Masker, diagnostics_program
from livefleet.control.journal import state_folder
from livefleet.control.session import Session, run_session
from livefleet.kernel import BadInput, ExitCode, LivefleetError, OutsideWorld
from livefleet.spec import Fleet

__all__ = ["FleetDiagnostics", "HostDiagnostics", "fetch_diagnostics", "operator_items", "write_bundle"]

_JOURNAL_LINES: Final = 2000
_LARGEST: Final = 32 * 1024 * 1024  # bytes that a host may send, and that its items may be


@dataclass(frozen=True, slots=True)
class HostDiagnostics:
    """What one host told, or why it told nothing."""

    host: str
    items: Mapping[str, str] = field(default_factory=dict)  # file name to text
    notes: tuple[str, ...] = ()  # what is missing, and why
    error: str = ""
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FleetDiagnostics:
    """All hosts that were asked, in the fleet's order."""

    hosts: tuple[HostDiagnostics, ...]

    @property
    def exit_code(self) -> ExitCode:
        """3 where no host could be asked, 1 where some could not."""
        missing = [host for host in self.hosts if host.error]
        if not missing:
            return ExitCode.DONE
        return ExitCode.OUTSIDE_SAID_NO if len(missing) == len(self.hosts) else ExitCode.PARTLY_FAILED


def fetch_diagnostics(
    fleet: Fleet,
    names: Sequence[str],
    *,
    deadline_s: float,
    parallel: int,
    on_host: Callable[[HostDiagnostics], None],
) -> FleetDiagnostics:
    """Ask the named hosts. `on_host` hears of each as it ends, one at a time."""
    lock = Lock()
    stop = Event()
    masker = operator_masker(fleet, names)

    def one(name: str) -> HostDiagnostics:
        began = time.monotonic()
        try:
            items, notes = _fetch(fleet, name, deadline_s, masker, stop)
            found = HostDiagnostics(name, items, notes, took_s=time.monotonic() - began)
        except LivefleetError as error:
            found = HostDiagnostics(name, error=masker.mask(str(error)), took_s=time.monotonic() - began)
        with lock:
            on_host(found)
        return found

    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="diag") as pool:
        try:
            return FleetDiagnostics(tuple(pool.map(one, names)))
        except BaseException:
            stop.set()
            raise


def operator_items(fleet: Fleet, names: Sequence[str]) -> dict[str, str]:
    """What this machine adds: its journal of what was done to the fleet, the last lines of it."""
    try:
        lines = (state_folder(fleet) / "journal.jsonl").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {"journal.jsonl": operator_masker(fleet, names).mask("\n".join(lines[-_JOURNAL_LINES:]))}


def write_bundle(path: Path, fleet: Fleet, found: FleetDiagnostics, own: Mapping[str, str], *, at: float) -> int:
    """Write the bundle, readable by its owner alone, and return its size in bytes.

    Args:
        path: The file to make.
        fleet: Whose it is.
        found: What the hosts told.
        own: What this machine adds, masked.
        at: Unix seconds.

    Raises:
        BadInput: a file of that name is there.
        OutsideWorld: it cannot be written.
    """
    manifest = {
        "fleet": fleet.name,
        "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        "livefleet": __version__,
        "hosts": {
            host.host: {
                "role": fleet.node(host.host).role.value,
                "items": {name: len(text.encode()) for name, text in host.items.items()},
                "notes": list(host.notes),
                "error": host.error or None,
                "took_s": round(host.took_s, 1),
            }
            for host in found.hosts
        },
    }
    texts = {f"operator/{name}": text for name, text in own.items()}
    texts |= {f"hosts/{host.host}/{name}": text for host in found.hosts for name, text in sorted(host.items.items())}
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BadInput(f"{path} is there already: name another by -o") from error
    except OSError as error:
        raise OutsideWorld(f"cannot write {path}: {error.strerror}") from error
    with os.fdopen(number, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, text in {"manifest.json": json.dumps(manifest, indent=2), **texts}.items():
            content = text.encode()
            entry = tarfile.TarInfo(f"{path.name.removesuffix('.tar.gz')}/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(at), 0o600
            tar.addfile(entry, io.BytesIO(content))
    return path.stat().st_size


def operator_masker(fleet: Fleet, names: Sequence[str]) -> Masker:
    """Knows the secrets that this machine would send to the hosts, as far as they are files or variables.

    Programs are not asked: somebody would have to type for each.
    """
    values: list[str] = []
    for item in (item for name in names for item in fleet.secrets_to_send(name)):
        if item.ref.command is None:
            with suppress(BadInput):
                values.append(item.read(os.environ).decode(errors="replace"))
    return Masker(values)


def _fetch(
    fleet: Fleet, name: str, deadline_s: float, masker: Masker, stop: Event
) -> tuple[dict[str, str], tuple[str, ...]]:
    program = diagnostics_program(fleet.node(name), deadline_s=deadline_s)
    out, errors = bytearray(), bytearray()

    def take(data: bytes, *, error: bool) -> None:
        into = errors if error else out
        into.extend(data[: _LARGEST - len(into)])

    session = Session(program.words, program.stdin, timeout_s=program.timeout_s)
    code = run_session(fleet.host(name), session, take, stop)
    said = errors.decode(errors="replace").strip().splitlines() or ["it says nothing"]
    if code != 0:
        raise OutsideWorld(f"{name}: collecting ended with {code}: {said[-1]}")
    try:
        inflater = zlib.decompressobj()
        document = json.loads(inflater.decompress(base64.b64decode(out), _LARGEST))
        items = {_file_name(key): masker.mask(text) for key, text in document["items"].items()}
        return items, tuple(masker.mask(note) for note in document["notes"])
    except (ValueError, KeyError, AttributeError, zlib.error) as error:
        raise OutsideWorld(f"{name}: what came is no bundle ({error})") from error


def _file_name(told: str) -> str:
    """A host names files, and never leaves its folder by that."""
    return told.replace("/", "_").lstrip(".") or "unnamed"
