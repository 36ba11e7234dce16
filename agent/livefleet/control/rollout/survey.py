"""How things stand before a rollout: which hosts would change, which of them restart, and who is away already."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from livefleet.control.apply import ApplyOptions, apply
from livefleet.control.events import Decided, Event
from livefleet.control.rollout.order import Member, members_of
from livefleet.control.status import fleet_status
from livefleet.control.summary import Outcome
from livefleet.spec import Fleet

__all__ = ["Survey", "survey"]

_RESTARTS = ("start", "restart")


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found."""

    members: tuple[Member, ...]  # the whole fleet
    changes: dict[str, str] = field(default_factory=dict)  # host: what would change
    unchanged: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)  # host: why nothing can be done there
    restarts: frozenset[str] = frozenset()  # hosts whose agent is started anew, or that may reboot
    down: frozenset[str] = frozenset()  # hosts that do not serve now, also of those that stand in for the chosen ones
    wanted: dict[str, str] = field(default_factory=dict)  # host: what it is to run, as one word


def survey(
    fleet: Fleet, hosts: Sequence[str], *, checkout: Path, parallel: int, on_event: Callable[[Event], None]
) -> Survey:
    """Look at the chosen hosts, or all, and at those whose place they take. Changes nothing.

    Raises BadInput for an unknown host or a spec that is wrong, LivefleetError when the look itself broke off.
    """
    decided: dict[str, Decided] = {}

    def heard(event: Event) -> None:
        if isinstance(event, Decided):
            decided[event.host] = event
        on_event(event)

    options = ApplyOptions(tuple(hosts), dry=True, parallel=parallel)
    summary = apply(fleet.path, options, on_event=heard, checkout=checkout)
    members = members_of(fleet)
    chosen = {result.host for result in summary.hosts}
    scopes = {scope for member in members if member.name in chosen for scope in (member.pool, *member.groups)}
    near = [member.name for member in members if scopes.intersection((member.pool, *member.groups))]
    status = fleet_status(fleet, near, parallel=parallel)
    would = [result for result in summary.hosts if result.outcome is Outcome.WOULD_CHANGE]
    return Survey(
        members=members,
        changes={result.host: ", ".join(result.changes) for result in would},
        unchanged=tuple(result.host for result in summary.hosts if result.outcome is Outcome.UNCHANGED),
        refused={
            result.host: f"{result.failed_step}: {result.reason}"
            for result in summary.hosts
            if result.outcome is Outcome.FAILED
        },
        restarts=frozenset(r.host for r in would if r.agent in _RESTARTS or "driver" in r.changes or not r.agent),
        down=frozenset(host.host for host in status.hosts if not host.ready),
        wanted={name: f"{event.node} {event.release}" for name, event in decided.items()},
    )
