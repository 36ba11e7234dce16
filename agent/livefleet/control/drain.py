"""Emptying hosts: each is asked on the host itself, and watched by its own word until it is empty."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock

from livefleet.control.remote import program_on, run_on_host
from livefleet.control.status import host_status
from livefleet.control.stop import Stop
from livefleet.kernel import BadInput, ExitCode, OutsideWorld
from livefleet.spec import DEFAULT_DEADLINE_S, DrainReport, Fleet, NodeSpec

__all__ = ["DrainOutcome", "DrainRequest", "FleetDrain", "HostDrain", "agent_drain_command", "drain_fleet"]

_ASK_TIMEOUT_S = 60.0
_LOOK_S = 1.0
_MARGIN_S = 60.0  # beyond the deadline: what is in flight then is finished
_SILENCE_S = 60.0  # of a host that answered before


@dataclass(frozen=True, slots=True)
class DrainRequest:
    """What is asked of every host."""

    devices: tuple[str, ...] = ()  # none: the node
    deadline_s: float = DEFAULT_DEADLINE_S
    reason: str = ""
    off: bool = False  # take it back instead
    wait: bool = True


class DrainOutcome(StrEnum):
    """How a host stands."""

    ASKED = "asked"
    DRAINING = "draining"
    DRAINED = "drained"
    IN_SERVICE = "in service"
    NOT_IN_TIME = "not drained in time"
    WRONG_INPUT = "wrong input"
    FAILED = "failed"  # not reached, or the command there failed


@dataclass(frozen=True, slots=True)
class HostDrain:
    """One host, now or in the end."""

    host: str
    outcome: DrainOutcome
    report: DrainReport = field(default_factory=DrainReport)
    text: str = ""  # progress, or what went wrong


@dataclass(frozen=True, slots=True)
class FleetDrain:
    """All hosts that were asked, in the fleet's order."""

    hosts: tuple[HostDrain, ...]

    @property
    def exit_code(self) -> ExitCode:
        """1 when some host failed; the cause's own code where all failed for the same."""
        outcomes = {host.outcome for host in self.hosts}
        if outcomes == {DrainOutcome.WRONG_INPUT}:
            return ExitCode.BAD_INPUT
        if outcomes == {DrainOutcome.FAILED}:
            return ExitCode.OUTSIDE_SAID_NO
        bad = {DrainOutcome.WRONG_INPUT, DrainOutcome.FAILED, DrainOutcome.NOT_IN_TIME}
        return ExitCode.PARTLY_FAILED if outcomes & bad else ExitCode.DONE


def drain_fleet(
    fleet: Fleet,
    hosts: Sequence[str],
    request: DrainRequest,
    *,
    on_change: Callable[[HostDrain], None],
    parallel: int = 16,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    stop: Stop | None = None,
) -> FleetDrain:
    """Ask the named hosts, or all, `parallel` at a time; what fails with one is that host's alone.

    `on_change` hears of each host whenever it stands differently, from one thread at a time. Once `stop` is asked for,
    hosts are watched no longer; what they were asked stands. Raises BadInput for an unknown host, and nobody has been
    asked.
    """
    for name in hosts:
        fleet.node(name)
    names = [name for name in fleet.hosts if not hosts or name in hosts]
    lock = Lock()

    def tell(state: HostDrain) -> HostDrain:
        with lock:
            on_change(state)
        return state

    def one(name: str) -> HostDrain:
        return _Host(fleet, name, request, tell, now, sleep if stop is None else stop.sleep, stop).run()

    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="drain") as pool:
        return FleetDrain(tuple(pool.map(one, names)))


def agent_drain_command(node: NodeSpec, request: DrainRequest) -> list[str]:
    """The command line on the host. Pure."""
    program = program_on(node)
    words = [program, "agent", "drain", str(node.paths.node_yaml), "--json"]
    words += [f"--device={device}" for device in request.devices]
    if request.off:
        return [*words, "--off"]
    return [*words, f"--deadline={request.deadline_s:g}", f"--reason={request.reason}"]


class _Host:
    """One host, from the request to its end."""

    def __init__(
        self,
        fleet: Fleet,
        name: str,
        request: DrainRequest,
        tell: Callable[[HostDrain], HostDrain],
        now: Callable[[], float],
        sleep: Callable[[float], None],
        stop: Stop | None,
    ) -> None:
        self._fleet = fleet
        self._name = name
        self._request = request
        self._tell = tell
        self._now = now
        self._sleep = sleep
        self._stop = stop

    def run(self) -> HostDrain:
        """Ask, and watch where that is wanted."""
        command = agent_drain_command(self._fleet.node(self._name), self._request)
        try:
            run_on_host(self._fleet.host(self._name), command, timeout_s=_ASK_TIMEOUT_S)
        except BadInput as error:
            return self._tell(HostDrain(self._name, DrainOutcome.WRONG_INPUT, text=str(error)))
        except OutsideWorld as error:
            return self._tell(HostDrain(self._name, DrainOutcome.FAILED, text=str(error)))
        asked = self._tell(HostDrain(self._name, DrainOutcome.ASKED))
        return self._watch() if self._request.wait else asked

    def _watch(self) -> HostDrain:
        until = self._now() + (_SILENCE_S if self._request.off else self._request.deadline_s + _MARGIN_S)
        silent_until = self._now() + _SILENCE_S
        last = HostDrain(self._name, DrainOutcome.ASKED)
        while True:
            status = host_status(self._fleet, self._name)
            if status.report is not None:
                silent_until = self._now() + _SILENCE_S
                state = self._state(status.report.drain)
                if state != last:
                    last = self._tell(state)
                if state.outcome is not DrainOutcome.DRAINING:
                    return state
            elif self._now() > silent_until:
                text = f"{status.error}; the request stands"
                return self._tell(HostDrain(self._name, DrainOutcome.FAILED, last.report, text))
            if self._stop is not None and self._stop.is_asked:
                return last
            if self._now() > until:
                return self._tell(HostDrain(self._name, DrainOutcome.NOT_IN_TIME, last.report, last.text))
            self._sleep(_LOOK_S)

    def _state(self, report: DrainReport) -> HostDrain:
        devices = self._request.devices
        scopes = [scope for scope in report.scopes if not devices or scope.device in devices]
        text = "; ".join(f"{f'{scope.device} ' if scope.device else ''}{scope.text}" for scope in scopes)
        if self._request.off:
            outcome = DrainOutcome.DRAINING if scopes else DrainOutcome.IN_SERVICE
        else:
            outcome = DrainOutcome.DRAINED if report.is_drained(devices) else DrainOutcome.DRAINING
        return HostDrain(self._name, outcome, report, text)
