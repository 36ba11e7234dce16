"""Emptying the node, or devices of it, as the requests in its state folder say.

    no request             request                    deadline passed
in service --------> no new sessions, ------------> no further segments either; what is in flight is finished
     ^               open ones go on                          |
     '------------------------ request taken back ------------'

A device's sessions move to the others at their next segment. Where it is the last one that the node works with, its
request counts as one of the node.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from livefleet.kernel import BadInput, Clock, Condition, Intake, Status
from livefleet.reconcile.model import Action, Again, Plan
from livefleet.spec import DrainOrder, DrainOrders, DrainReport, DrainScope, DrainState, load_drain

__all__ = [
    "IN_SERVICE",
    "DrainObserved",
    "DrainResource",
    "DrainTarget",
    "Drainable",
    "Remaining",
    "drain_report",
    "drain_target",
    "intake_with",
]

IN_SERVICE: Final = "InService"

_LOOK_EVERY_S = 2.0
_WATCH_EVERY_S = 0.5  # while something is being emptied


@dataclass(frozen=True, slots=True)
class DrainTarget:
    """What a role shall take on."""

    intake: Intake = Intake.OPEN
    devices: frozenset[str] = frozenset()  # no new sessions there, open ones move
    closed_devices: frozenset[str] = frozenset()  # of these, those past their deadline: nothing goes there


@dataclass(frozen=True, slots=True)
class Remaining:
    """Work that is left somewhere."""

    sessions: int = 0
    segments: int = 0  # in flight: taken and not done


class Drainable(Protocol):
    """A role, as far as it can be emptied."""

    def drain(self, target: DrainTarget) -> None:
        """Go by `target` from now on, also after a restart of the services. Saying it again changes nothing."""
        ...

    def remaining(self) -> Remaining:
        """What the node works on."""
        ...

    def remaining_on(self) -> Mapping[str, Remaining]:
        """The same by transcoding device, for each device that there is."""
        ...

    def relies_on_devices(self) -> bool:
        """Whether video stops when no device is left: nobody else does it for this node."""
        ...


@dataclass(frozen=True, slots=True)
class DrainObserved:
    """What is asked and what is, at one moment."""

    told: DrainTarget | None  # what the role goes by
    now: float
    orders: DrainOrders
    fault: str  # why the file could not be read
    node: Remaining
    devices: Mapping[str, Remaining]
    relies_on_devices: bool


@dataclass(frozen=True, slots=True)
class GoBy(Action):
    """Have the role go by a target."""

    target: DrainTarget


class DrainResource:
    """Keeps what the node takes on as requested."""

    name = "drain"

    def __init__(self, state: Path, role: Drainable, clock: Clock) -> None:
        self._state = state
        self._role = role
        self._clock = clock
        self._unreadable_since: float | None = None
        self._told: DrainTarget | None = None

    async def observe(self) -> DrainObserved:
        """See `look`."""
        return self.look()

    def look(self) -> DrainObserved:
        """Read the requests and the role.

        A request that is there and cannot be read counts as one of the node: somebody wanted it emptied.
        """
        now, fault = self._clock.now(), ""
        try:
            orders = load_drain(self._state)
            self._unreadable_since = None
        except BadInput as error:
            fault = str(error)
            self._unreadable_since = now if self._unreadable_since is None else self._unreadable_since
            orders = DrainOrders(node=DrainOrder(since=self._unreadable_since, reason="the request cannot be read"))
        return DrainObserved(
            told=self._told,
            now=now,
            orders=orders,
            fault=fault,
            node=self._role.remaining(),
            devices=self._role.remaining_on(),
            relies_on_devices=self._role.relies_on_devices(),
        )

    def report(self) -> DrainReport:
        """How far it has come."""
        return drain_report(self.look())

    def plan(self, observed: DrainObserved) -> Plan:
        """Pure."""
        target = drain_target(observed)
        report = drain_report(observed)
        return Plan(
            actions=(GoBy(summary=_summary(target), target=target),),
            conditions=_conditions(observed, report),
            again=Again(_next_look_s(observed, report)),
        )

    async def apply(self, action: Action) -> None:
        """Tell the role."""
        assert isinstance(action, GoBy)
        self._role.drain(action.target)
        self._told = action.target


def drain_target(observed: DrainObserved) -> DrainTarget:
    """What the requests come to at this moment. Pure."""
    node, devices, now = observed.orders.node, observed.orders.devices, observed.now
    return DrainTarget(
        intake=Intake.OPEN if node is None else Intake.RUNNING if node.left_s(now) else Intake.CLOSED,
        devices=frozenset(devices),
        closed_devices=frozenset(name for name, order in devices.items() if not order.left_s(now)),
    )


def intake_with(target: DrainTarget, devices: Collection[str], *, relies_on_devices: bool) -> Intake:
    """What a node with these devices takes on. Pure.

    When every device is to be emptied and the node works with nothing else, it is to be emptied itself.
    """
    if target.intake is not Intake.OPEN or not (relies_on_devices and devices and target.devices.issuperset(devices)):
        return target.intake
    return Intake.CLOSED if target.closed_devices.issuperset(devices) else Intake.RUNNING


def node_order(orders: DrainOrders, devices: Collection[str], *, relies_on_devices: bool) -> DrainOrder | None:
    """The request that the node as a whole follows, if it does: with all of its devices, the one that ends last."""
    if orders.node is not None or not (relies_on_devices and devices and orders.devices.keys() >= set(devices)):
        return orders.node
    return max((orders.devices[name] for name in devices), key=lambda order: order.since + order.deadline_s)


def drain_report(observed: DrainObserved) -> DrainReport:
    """How far it has come. Pure."""
    orders = observed.orders
    scopes = [
        _scope(observed, name, order, observed.devices.get(name, Remaining())) for name, order in orders.devices.items()
    ]
    order = node_order(orders, observed.devices, relies_on_devices=observed.relies_on_devices)
    if order is None:
        return DrainReport(scopes=tuple(scopes))
    node = _scope(observed, "", order, observed.node)
    if orders.node is None:  # its devices go on with running sessions until its own deadline
        scopes = [scope.model_copy(update={"state": node.state}) for scope in scopes]
        return DrainReport(state=node.state, scopes=tuple(scopes))
    return DrainReport(state=node.state, scopes=(node, *scopes))


def _scope(observed: DrainObserved, device: str, order: DrainOrder, left: Remaining) -> DrainScope:
    """Idle sessions hold nobody up once they may send nothing more. It counts once the role goes by the request."""
    left_s = order.left_s(observed.now)
    is_empty = not left.segments and (not left.sessions or not left_s)
    is_drained = is_empty and observed.told == drain_target(observed)
    return DrainScope(
        device=device,
        state=DrainState.DRAINED if is_drained else DrainState.DRAINING,
        reason=order.reason,
        since=order.since,
        deadline_in_s=round(left_s, 1),
        sessions=left.sessions,
        segments=left.segments,
    )


def _conditions(observed: DrainObserved, report: DrainReport) -> list[Condition]:
    """Being emptied on purpose keeps no node from being ready: an upgrade of a drained node has to be able to end."""
    if observed.fault:
        text = f"{observed.fault}; until that is put right the node takes no new sessions"
        advice = (
            "let the service's user read the file, or ask anew: `livefleet drain --host HOST`, with `--off` to serve"
        )
        found = [Condition(IN_SERVICE, Status.FALSE, "RequestUnreadable", text, gates_ready=False, advice=advice)]
    elif (node := report.of()) is not None:
        found = [_condition(node)]
    elif report.state is not DrainState.IN_SERVICE:
        text = "all of its devices are being emptied, and it works with nothing else"
        found = [Condition(IN_SERVICE, Status.FALSE, report.state.value.capitalize(), text, gates_ready=False)]
    else:
        found = [Condition(IN_SERVICE, Status.TRUE, "InService", "new sessions are taken", gates_ready=False)]
    for scope in report.scopes:
        if not scope.device:
            continue
        if observed.devices and scope.device not in observed.devices:
            there = ", ".join(observed.devices)
            text = f"a request to drain it is there, but the node's devices are {there}"
            found.append(Condition(IN_SERVICE, Status.FALSE, "UnknownDevice", text, scope.device, gates_ready=False))
        else:
            found.append(_condition(scope))
    return found


def _condition(scope: DrainScope) -> Condition:
    reason = scope.state.value.capitalize()
    return Condition(IN_SERVICE, Status.FALSE, reason, scope.text, scope.device, gates_ready=False)


def _next_look_s(observed: DrainObserved, report: DrainReport) -> float:
    if all(scope.state is DrainState.DRAINED for scope in report.scopes):
        return _LOOK_EVERY_S
    orders = [*observed.orders.devices.values(), *([observed.orders.node] if observed.orders.node else [])]
    ahead = [left for order in orders if (left := order.left_s(observed.now))]
    return min(_WATCH_EVERY_S, *ahead) if ahead else _WATCH_EVERY_S


def _summary(target: DrainTarget) -> str:
    devices = f", none on {', '.join(sorted(target.devices))}" if target.devices else ""
    words = {
        Intake.OPEN: "take new sessions",
        Intake.RUNNING: "take segments of open sessions only",
        Intake.CLOSED: "take nothing",
    }
    return words[target.intake] + devices
