"""What agents say, from all hosts at once, in one order and in readable lines. Secrets stay on the hosts."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock
from typing import Any, Final

from livefleet.control.host import logs_program
from livefleet.control.session import Session, run_session
from livefleet.kernel import ExitCode, OutsideWorld
from livefleet.spec import Fleet

__all__ = ["FleetLogs", "LogLine", "LogsRequest", "fleet_logs", "parse_line"]

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_VISIBLE: Final = {n: f"\\x{n:02x}" for n in (*range(32), *range(127, 160)) if chr(n) not in "\t\n"}
"""Whoever writes into a log must not write to a terminal."""

_MOST = 200_000  # lines of all hosts together; beyond that the oldest are not kept


@dataclass(frozen=True, slots=True)
class LogsRequest:
    """What is wanted of every host."""

    lines: int = 200  # the last ones
    since: float | None = None  # unix seconds
    follow: bool = False


@dataclass(frozen=True, slots=True)
class LogLine:
    """One message of an agent."""

    host: str
    at: float  # unix seconds; 0 where it is not known
    level: str  # "" for lines that are not the agent's own
    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> int:
        """For comparing; lines of others count as warnings, because only what is odd comes so."""
        return _LEVELS.get(self.level, _LEVELS["warning"])

    def render(self) -> str:
        """Time, level, event and `name=value`; what has several lines follows below."""
        at = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] if self.at else "-"
        told = {name: value for name, value in self.fields.items() if name not in ("logger", "exception")}
        words = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in told.items()]
        line = " ".join([at, f"{self.level or '-':<7}", self.event, *words])
        exception = self.fields.get("exception")
        text = f"{line}\n    {'    '.join(str(exception).splitlines(keepends=True))}" if exception else line
        return text.translate(_VISIBLE)


@dataclass(frozen=True, slots=True)
class FleetLogs:
    """How it went; the lines were told on the way."""

    lines: int
    errors: Mapping[str, str]  # host to why there are none, or not all
    hosts: int

    @property
    def exit_code(self) -> ExitCode:
        """3 where no host could be asked, 1 where some could not."""
        if not self.errors:
            return ExitCode.DONE
        return ExitCode.OUTSIDE_SAID_NO if len(self.errors) == self.hosts else ExitCode.PARTLY_FAILED


def parse_line(host: str, at: float, message: str) -> LogLine:
    """A message as livefleet's formatter writes it (JSON with ts, level, event), else as plain text."""
    try:
        told = json.loads(message)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("event"), str):
        return LogLine(host, at, "", message)
    fields = {name: value for name, value in told.items() if name not in ("ts", "level", "event")}
    return LogLine(host, _time_of(told.get("ts")) or at, str(told.get("level", "")), told["event"], fields)


def fleet_logs(
    fleet: Fleet,
    names: Sequence[str],
    request: LogsRequest,
    *,
    on_line: Callable[[LogLine], None],
    on_note: Callable[[str, str], None],
    parallel: int,
    stop: Event,
) -> FleetLogs:
    """The named hosts' lines: merged by time, or with `follow` as they come, until `stop` is set.

    `on_line` and `on_note` (host, text) are called from one thread at a time.
    """
    merging = _Merging(on_line, on_note, follow=request.follow)
    workers = len(names) if request.follow else parallel  # who follows never makes room for another

    def one(name: str) -> str:
        program = logs_program(fleet.node(name), lines=request.lines, since=request.since, follow=request.follow)
        reader = _Reader(name, merging)
        session = Session(program.words, program.stdin, keep_stdin=True, timeout_s=program.timeout_s)
        try:
            code = run_session(fleet.host(name), session, reader.take, stop)
        except OutsideWorld as error:
            return str(error)
        return "" if code == 0 or stop.is_set() else f"reading the log ended with {code}: {reader.last_words}"

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="logs") as pool:
        try:
            ends = dict(zip(names, pool.map(one, names), strict=True))
        except BaseException:
            stop.set()
            raise
    merging.end()
    return FleetLogs(merging.told, {name: error for name, error in ends.items() if error}, len(names))


class _Merging:
    """Lines of all hosts: kept and sorted, or passed on at once."""

    def __init__(
        self, on_line: Callable[[LogLine], None], on_note: Callable[[str, str], None], *, follow: bool
    ) -> None:
        self.told = 0
        self._on_line = on_line
        self._on_note = on_note
        self._follow = follow
        self._kept: list[LogLine] = []
        self._lock = Lock()

    def add(self, line: LogLine) -> None:
        with self._lock:
            if self._follow:
                self.told += 1
                self._on_line(line)
                return
            self._kept.append(line)
            if len(self._kept) > 2 * _MOST:
                self._kept = sorted(self._kept, key=lambda line: line.at)[-_MOST:]

    def note(self, host: str, text: str) -> None:
        with self._lock:
            self._on_note(host, text)

    def end(self) -> None:
        for line in sorted(self._kept, key=lambda line: line.at)[-_MOST:]:  # stable: a host's own order stays
            self.told += 1
            self._on_line(line)


class _Reader:
    """The host program's output as lines."""

    def __init__(self, host: str, merging: _Merging) -> None:
        self._host = host
        self._merging = merging
        self._rest = b""
        self._errors = bytearray()

    @property
    def last_words(self) -> str:
        said = self._errors.decode(errors="replace").strip().splitlines()
        return said[-1] if said else "it says nothing"

    def take(self, data: bytes, *, error: bool) -> None:
        if error:
            self._errors = (self._errors + data)[-4096:]
            return
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            told = json.loads(line)
            if "note" in told:
                self._merging.note(self._host, told["note"])
            else:
                self._merging.add(parse_line(self._host, told["t"], told["m"]))


def _time_of(told: object) -> float | None:
    if isinstance(told, int | float):
        return float(told)
    try:
        return datetime.fromisoformat(str(told)).timestamp()
    except ValueError:
        return None
