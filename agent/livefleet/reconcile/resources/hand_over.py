"""Winning tickets with the shared redeemer: what is pending in the store against what it has been given."""

from dataclasses import dataclass

from livefleet.kernel import Condition, Status
from livefleet.payments import HandOver, HandOverReport, TicketState, TicketStore
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["HandOverResource", "HandedTickets"]

_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class HandedTickets:
    """Winners that are not settled, and how the last look went."""

    count: int
    value: int  # wei, sum of face values
    last: HandOverReport | None


class HandOverResource:
    """One look at all pending tickets a turn."""

    name = "redemption"

    def __init__(self, store: TicketStore, duty: HandOver, *, every_s: float = _EVERY_S) -> None:
        self._store = store
        self._duty = duty
        self._every_s = every_s
        self._last: HandOverReport | None = None

    async def observe(self) -> HandedTickets:
        """What the store holds."""
        pending = self._store.totals.of(TicketState.PENDING)
        return HandedTickets(pending.count, int(pending.value), self._last)

    def plan(self, observed: HandedTickets) -> Plan:
        """Hand over, or ask the chain about, whatever is pending."""
        actions = (Action(f"hand over {observed.count} winning ticket(s)"),) if observed.count else ()
        return Plan(actions, (_condition(observed),), Again(self._every_s))

    async def apply(self, action: Action) -> None:
        """One look."""
        self._last = await self._duty.run_once()


def _condition(observed: HandedTickets) -> Condition:
    last = observed.last
    if last is not None and last.waiting:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(last.waiting.items()))
        text = f"{observed.count} winning ticket(s) of {observed.value} wei are not with the shared redeemer: {why}"
        return _tickets(Status.FALSE, "NotHandedOver", text)
    if observed.count == 0:
        return _tickets(Status.TRUE, "NonePending", "no winning ticket waits")
    text = f"{observed.count} winning ticket(s) of {observed.value} wei are with the shared redeemer"
    return _tickets(Status.TRUE, "HandedOver", text)


def _tickets(status: Status, reason: str, message: str) -> Condition:
    return Condition("TicketsRedeemed", status, reason, message, gates_ready=False)
