"""What a rollout does to real hosts: drain, apply, look, smoke job, rollback."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livefleet.control.apply import ApplyCutOff, ApplyOptions, apply
from livefleet.control.drain import DrainOutcome, DrainRequest, FleetDrain, HostDrain, drain_fleet
from livefleet.control.events import Event
from livefleet.control.lock import HostLocks
from livefleet.control.proof import Verdict, look_until_ready, smoke_changed
from livefleet.control.rollout.conduct import Change, Changed
from livefleet.control.smoke import Smoke
from livefleet.control.status import fleet_status
from livefleet.control.stop import Stop
from livefleet.control.summary import HostResult, Outcome, Summary
from livefleet.kernel import BadInput, LivefleetError
from livefleet.spec import Fleet, Role, load_fleet, node_digest

__all__ = ["FleetWork", "WorkSettings", "went_back"]

_REASON: Final = "rollout "
_MEDIA: Final = (Role.ORCHESTRATOR, Role.WORKER)
_WENT_BACK: Final = "went back to "  # how the deploy tells of it
_NOR_THAT: Final = "does not serve either"
_WINDOW: Final = "waiting for its window"
_NOT_BEGUN: Final = Changed(Change.NOT_BEGUN)
_IN_THE_MIDDLE: Final = "cut off in its change: what its service starts from is old or new as a whole"
_NOT_SERVING: Final = (DrainOutcome.FAILED, DrainOutcome.WRONG_INPUT, DrainOutcome.NOT_IN_TIME)


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """How it is done."""

    id: str  # of the rollout
    lock: str  # token
    drain_s: float
    parallel: int = 20
    keep_failed: bool = False  # hosts that do not serve what is new do not go back


class FleetWork:
    """`HostWork` on the hosts of a fleet."""

    def __init__(
        self,
        fleet: Fleet,
        checkout: Path,
        settings: WorkSettings,
        locks: HostLocks,
        smoke: Smoke | None,
        *,
        on_event: Callable[[Event], None],
        on_drain: Callable[[HostDrain], None],
        stop: Stop,
    ) -> None:
        self._fleet = fleet
        self._checkout = checkout
        self._settings = settings
        self._locks = locks
        self._smoke = smoke
        self._on_event = on_event
        self._on_drain = on_drain
        self._stop = stop
        self._asked: set[str] = set()  # to be empty, since this command began

    def empty(self, hosts: Collection[str]) -> Collection[str]:
        """A host that does not answer has nothing to lose: apply will tell what is wrong with it."""
        self._locks.check()
        media = [name for name in hosts if self._fleet.node(name).role in _MEDIA]
        if not media or not self._settings.drain_s:
            return ()
        status = fleet_status(self._fleet, media, parallel=self._settings.parallel)
        reports = {host.host: host.report.drain.of() for host in status.hosts if host.report is not None}
        others = [n for n, scope in reports.items() if scope is not None and not scope.reason.startswith(_REASON)]
        ours = [name for name in reports if name not in others]
        if ours:
            reason = f"{_REASON}{self._settings.id}"
            self._asked |= set(ours)
            self._drain(ours, DrainRequest(deadline_s=self._settings.drain_s, reason=reason), stop=self._stop)
        return others

    def change(self, hosts: Collection[str]) -> Mapping[str, Changed]:
        """By apply, which takes back by itself what does not serve. Raises BadInput when the fleet file has changed."""
        self._locks.check()
        self._expect_as_read(hosts)
        options = ApplyOptions(
            tuple(hosts),
            parallel=self._settings.parallel,
            lock=self._settings.lock,
            keep_failed=self._settings.keep_failed,
        )
        try:
            results = self._run(options)
        except BadInput:
            raise
        except ApplyCutOff as cut:
            return {n: Changed(Change.CUT_OFF, _IN_THE_MIDDLE) if n in cut.begun else _NOT_BEGUN for n in hosts}
        except LivefleetError as error:
            return dict.fromkeys(hosts, Changed(Change.FAILED, str(error)))
        return {name: _changed(results.get(name), name) for name in hosts}

    def serve(self, hosts: Collection[str]) -> None:
        """Only of those that were emptied in the name of a rollout."""
        media = [name for name in hosts if self._fleet.node(name).role in _MEDIA]
        if media and self._settings.drain_s:
            self._drain(media, DrainRequest(off=True, wait=False))

    def put_back(self, hosts: Collection[str]) -> Collection[str]:
        """Only what this command has emptied, and watched until each says that it serves, for a minute at most."""
        self._locks.check()
        asked = [name for name in hosts if name in self._asked]
        if not asked:
            return ()
        found = self._drain(asked, DrainRequest(off=True))
        return [host.host for host in found.hosts if host.outcome in _NOT_SERVING]

    def prove(self, hosts: Collection[str]) -> Mapping[str, Verdict]:
        """Ready with what is declared, and then a paid job where there is one to try."""
        self._locks.check()
        found = look_until_ready(self._fleet, hosts, parallel=self._settings.parallel, sleep=self._stop.sleep)
        ready = [name for name, verdict in found.items() if verdict.passed]
        if self._smoke is None or not ready or self._stop.is_asked:
            return found
        smoked = smoke_changed(ready, self._smoke, sleep=self._stop.sleep)
        return found | {result.host: Verdict(result.passed, f"smoke job: {result.text}") for result in smoked.hosts}

    def restore(self, hosts: Collection[str]) -> Mapping[str, Verdict]:
        """By what each host kept of before."""
        options = ApplyOptions(tuple(hosts), rollback=True, parallel=self._settings.parallel, lock=self._settings.lock)
        try:
            results = self._run(options)
        except ApplyCutOff:
            return {}
        except LivefleetError as error:
            return dict.fromkeys(hosts, Verdict(passed=False, text=f"and could not go back: {error}"))
        return {name: _restored(results.get(name)) for name in hosts}

    def _expect_as_read(self, hosts: Collection[str]) -> None:
        """Apply reads the file anew: half of a fleet must not get what the other half has not."""
        now = load_fleet(self._fleet.path)
        for name in hosts:
            if name not in now.hosts or node_digest(now.node(name)) != node_digest(self._fleet.node(name)):
                raise BadInput(
                    f"{self._fleet.path}: {name} is declared otherwise than when this rollout was planned: put that"
                    " back and resume, or forget this rollout and begin one with what is declared now"
                )

    def _run(self, options: ApplyOptions) -> dict[str, HostResult]:
        summary: Summary = apply(
            self._fleet.path, options, on_event=self._on_event, checkout=self._checkout, stop=self._stop
        )
        return {result.host: result for result in summary.hosts}

    def _drain(self, hosts: Collection[str], request: DrainRequest, *, stop: Stop | None = None) -> FleetDrain:
        return drain_fleet(
            self._fleet, tuple(hosts), request, on_change=self._on_drain, parallel=self._settings.parallel, stop=stop
        )


def went_back(reason: str) -> str | None:
    """The release that a host went back to and serves, as the deploy told; None: it did not."""
    line = next((line for line in reason.splitlines() if line.startswith(_WENT_BACK)), "")
    return None if not line or _NOR_THAT in line else line.removeprefix(_WENT_BACK).strip()


def _changed(result: HostResult | None, name: str) -> Changed:
    if result is None:
        return Changed(Change.FAILED, f"the run said nothing of {name}")
    waits = next((note for note in result.notes if _WINDOW in note), "")
    match result.outcome:
        case Outcome.CHANGED | Outcome.WOULD_CHANGE:
            return Changed(Change.CHANGED, waits)
        case Outcome.UNCHANGED:
            return Changed(Change.LATER if waits else Change.UNCHANGED, waits)
        case Outcome.FAILED:
            text = f"{result.failed_step}: {result.reason}"
            return Changed(Change.FAILED if went_back(result.reason) is None else Change.WENT_BACK, text)


def _restored(result: HostResult | None) -> Verdict:
    if result is None or result.outcome is Outcome.FAILED:
        return Verdict(passed=False, text=f"and could not go back: {result.reason if result else 'the run broke off'}")
    told = next((note.removeprefix("rollback: ") for note in result.notes), "went back")
    return Verdict(passed=True, text=told)
