"""Paid jobs after a plain apply: whether any are tried, of which hosts, and what is written down about them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from livefleet.control.journal import Deed, note_on_host
from livefleet.control.proof import smoke_changed
from livefleet.control.smoke import FleetSmoke, Smoke, SmokeResult, why_not_paid
from livefleet.control.status import FleetStatus, fleet_status
from livefleet.control.summary import Outcome, Summary
from livefleet.kernel import LivefleetError
from livefleet.spec import Fleet, Role

__all__ = ["ApplySmoke", "decide_smoke", "smoke_applied"]

_SERVES_GATEWAYS = (Role.ORCHESTRATOR, Role.WORKER)
_TRIED = {True: (Outcome.CHANGED, Outcome.UNCHANGED), False: (Outcome.CHANGED,)}


@dataclass(frozen=True, slots=True)
class ApplySmoke:
    """What is to be tried after an apply."""

    wanted: bool
    unchanged_too: bool = False  # hosts that were as declared before, as well
    why_not: str = ""  # what an operator would have to declare; empty: it is as he said

    def hosts_of(self, fleet: Fleet, summary: Summary) -> list[str]:
        """Those that do work for gateways and run what is declared."""
        outcomes = _TRIED[self.unchanged_too]
        done = [result.host for result in summary.hosts if result.outcome in outcomes]
        return [name for name in done if fleet.node(name).role in _SERVES_GATEWAYS]


def decide_smoke(fleet: Fleet, hosts: Sequence[str], asked: bool | None) -> ApplySmoke:
    """What was asked for stands above what is declared; without either, jobs are tried where an account can pay.

    A rollout tries its hosts off chain too: whoever chose one wants proof. A plain apply also brings up fleets that
    cannot earn yet. `hosts`: those that may be changed, all unless given. Pure.
    """
    names = [name for name in (hosts or fleet.hosts) if fleet.node(name).role in _SERVES_GATEWAYS]
    settings = fleet.spec.smoke
    if not names or asked is False:
        return ApplySmoke(wanted=False)
    if asked:
        return ApplySmoke(wanted=True, unchanged_too=True)
    if settings.after_apply is None:
        return ApplySmoke(wanted=settings.key is not None, why_not=why_not_paid(fleet, names))
    return ApplySmoke(wanted=settings.after_apply)


def smoke_applied(
    fleet: Fleet,
    summary: Summary,
    hosts: Sequence[str],
    smoke: Smoke,
    *,
    who: str,
    sleep: Callable[[float], None],
    on_result: Callable[[SmokeResult], None],
    on_unnoted: Callable[[str, str], None],
    parallel: int = 4,
    look: Callable[[Fleet, Sequence[str]], FleetStatus] = fleet_status,
    note: Callable[[Fleet, str, Deed], None] = note_on_host,
) -> Summary:
    """The summary with what became of a job on each of `hosts`; a host that somebody has drained is left out.

    Each result goes to that host's own journal; where that cannot be, `on_unnoted` hears of the host and why.
    """
    drained = {h.host: h.report.drain.of() for h in look(fleet, hosts).hosts if h.report is not None}
    left_out = {name: f"drained ({scope.reason or 'no reason given'})" for name, scope in drained.items() if scope}
    tried = [name for name in hosts if name not in left_out]
    found = smoke_changed(tried, smoke, sleep=sleep, on_result=on_result, parallel=parallel)
    for result in found.hosts:
        try:
            note(fleet, result.host, _deed(result, who))
        except LivefleetError as error:
            on_unnoted(result.host, str(error))
    return replace(summary, smoke=FleetSmoke(found.hosts, left_out))


def _deed(result: SmokeResult, who: str) -> Deed:
    return Deed(
        at=round(time.time(), 3),
        who=who,
        action="smoke",
        outcome="passed" if result.passed else "failed",
        text=result.text.splitlines()[0],
    )
