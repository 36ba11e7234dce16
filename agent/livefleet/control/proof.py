"""Whether hosts that were just changed are ready, and earn. For a rollout, and for a plain apply."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from livefleet.control.smoke import FleetSmoke, Smoke, SmokeResult, SmokeStage, smoke_fleet
from livefleet.control.status import HostStatus, fleet_status
from livefleet.spec import Fleet

__all__ = ["Verdict", "look_until_ready", "smoke_changed"]

_LOOKS, _LOOK_AGAIN_S = 5, 3.0
_TRIES, _TRY_AGAIN_S = 3, 5.0
_EARLY: Final = (SmokeStage.LOOK, SmokeStage.DISCOVER)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a host passed, and in which words."""

    passed: bool
    text: str = ""


def look_until_ready(
    fleet: Fleet, hosts: Collection[str], *, parallel: int, sleep: Callable[[float], None]
) -> dict[str, Verdict]:
    """Every host asked until it is ready with what is declared, a few times, 12 s in all."""
    found: dict[str, Verdict] = {}
    for look in range(_LOOKS):
        left = [name for name in hosts if name not in found or not found[name].passed]
        if not left:
            break
        if look:
            sleep(_LOOK_AGAIN_S)
        for host in fleet_status(fleet, left, parallel=parallel).hosts:
            found[host.host] = _verdict(host, pulls=fleet.node(host.host).pull is not None)
    return found


def smoke_changed(
    hosts: Sequence[str],
    smoke: Smoke,
    *,
    sleep: Callable[[float], None],
    on_result: Callable[[SmokeResult], None] = lambda _: None,
    parallel: int = 4,
) -> FleetSmoke:
    """Try hosts whose agent may just have been started: workers join, and models warm up, a moment later.

    So a host that does not offer its work yet, and was paid nothing, is tried again, three times in all. `on_result`
    hears of each host once.
    """
    results: dict[str, SmokeResult] = {}
    for number in range(_TRIES):
        left = [name for name in hosts if name not in results or _is_early(results[name])]
        if not left:
            break
        if number:
            sleep(_TRY_AGAIN_S)
        results |= {result.host: result for result in smoke_fleet(left, smoke, parallel=parallel).hosts}
        for name in left:
            if number == _TRIES - 1 or not _is_early(results[name]):
                on_result(results[name])
    return FleetSmoke(tuple(results[name] for name in hosts))


def _verdict(host: HostStatus, *, pulls: bool) -> Verdict:
    if host.report is None:
        return Verdict(passed=False, text=host.error)
    if host.drifted and not pulls:
        return Verdict(passed=False, text="it runs another specification than the declared one")
    why = "; ".join(f"{fault.name}: {fault.message}" for fault in host.faults if fault.gates_ready)
    return Verdict(host.ready, "ready" if host.ready else f"not ready: {why}")


def _is_early(result: SmokeResult) -> bool:
    """Whether it failed at nothing but what a moment may put right, and no ticket was signed."""
    bad = [job for job in result.jobs if not job.passed]
    return bool(bad) and all(job.failed_at in _EARLY and not job.tickets for job in bad)
