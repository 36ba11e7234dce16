"""One command on many hosts at once; what fails on one is that host's alone."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock

from livefleet.control.session import Session, run_session
from livefleet.kernel import ExitCode, OutsideWorld
from livefleet.spec import Fleet

__all__ = ["FleetRun", "HostRun", "run_on_hosts", "words_of"]

_KEPT = 1024 * 1024  # characters of a host's output, of each stream


@dataclass(frozen=True, slots=True)
class HostRun:
    """How a command ended on one host."""

    host: str
    code: int | None = None  # None: it did not come to an end; `error` says why
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    took_s: float = 0.0
    cut: bool = False  # more was printed than is kept

    @property
    def done(self) -> bool:
        """Whether it ended well."""
        return self.code == 0


@dataclass(frozen=True, slots=True)
class FleetRun:
    """All hosts that were asked, in the fleet's order."""

    hosts: tuple[HostRun, ...]

    @property
    def exit_code(self) -> ExitCode:
        """3 where no host could be asked, 1 where the command failed on some."""
        if all(host.done for host in self.hosts):
            return ExitCode.DONE
        return ExitCode.OUTSIDE_SAID_NO if all(host.error for host in self.hosts) else ExitCode.PARTLY_FAILED


def words_of(command: Sequence[str]) -> tuple[str, ...]:
    """A single word is a text for the host's shell; several are a program and its arguments, as they stand. Pure."""
    return ("sh", "-c", command[0]) if len(command) == 1 else tuple(command)


def run_on_hosts(
    fleet: Fleet,
    names: Sequence[str],
    session: Session,
    *,
    on_line: Callable[[str, str, bool], None],
    parallel: int,
) -> FleetRun:
    """Run it on the named hosts. `on_line` hears (host, line, whether of stderr) as they come, one at a time."""
    lock = Lock()
    stop = Event()

    def one(name: str) -> HostRun:
        def tell(line: str, *, error: bool) -> None:
            with lock:
                on_line(name, line, error)

        return _run(fleet, name, session, tell, stop)

    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="exec") as pool:
        try:
            return FleetRun(tuple(pool.map(one, names)))
        except BaseException:  # somebody pressed ctrl-c: commands on hosts end with their connections
            stop.set()
            raise


def _run(fleet: Fleet, name: str, session: Session, tell: "Callable[..., None]", stop: Event) -> HostRun:
    began = time.monotonic()
    out = _Output(tell)
    code: int | None = None
    error = ""
    try:
        code = run_session(fleet.host(name), session, out.take, stop)
    except OutsideWorld as problem:
        error = str(problem)
    out.end()
    return HostRun(name, code, out.text(error=False), out.text(error=True), error, time.monotonic() - began, out.cut)


@dataclass(slots=True)
class _Output:
    """Bytes of both streams as lines, told at once and kept up to a size."""

    tell: "Callable[..., None]"
    cut: bool = False
    _kept: dict[bool, bytearray] = field(default_factory=lambda: {False: bytearray(), True: bytearray()})
    _rest: dict[bool, bytes] = field(default_factory=lambda: {False: b"", True: b""})

    def take(self, data: bytes, *, error: bool) -> None:
        room = _KEPT - len(self._kept[error])
        self.cut |= len(data) > room
        self._kept[error] += data[: max(0, room)]
        *whole, self._rest[error] = (self._rest[error] + data).split(b"\n")
        for line in whole:
            self.tell(line.decode(errors="replace"), error=error)

    def end(self) -> None:
        """Lines that nothing ended."""
        for error, rest in self._rest.items():
            if rest:
                self.tell(rest.decode(errors="replace"), error=error)

    def text(self, *, error: bool) -> str:
        """What is kept of a stream."""
        return self._kept[error].decode(errors="replace")
