"""Winning tickets redeemed: what is pending in the store against what the chain takes now."""

from dataclasses import dataclass

from livefleet.kernel import Condition, Status
from livefleet.payments import Redeemer, RedemptionReport, TicketState, TicketStore
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["PendingTickets", "RedemptionResource"]


@dataclass(frozen=True, slots=True)
class PendingTickets:
    """Winners that wait, and how the last attempt went."""

    count: int
    value: int  # wei, sum of face values
    last: RedemptionReport | None


class RedemptionResource:
    """One attempt over all pending tickets a turn; the redeemer itself decides ticket by ticket."""

    name = "redemption"

    def __init__(self, store: TicketStore, redeemer: Redeemer, *, every_s: float) -> None:
        self._store = store
        self._redeemer = redeemer
        self._every_s = every_s
        self._last: RedemptionReport | None = None

    async def observe(self) -> PendingTickets:
        """What the store holds."""
        pending = self._store.totals.of(TicketState.PENDING)
        return PendingTickets(pending.count, int(pending.value), self._last)

    def plan(self, observed: PendingTickets) -> Plan:
        """Redeem when something is pending."""
        actions = (Action(f"redeem {observed.count} winning ticket(s)"),) if observed.count else ()
        return Plan(actions, (_condition(observed),), Again(self._every_s))

    async def apply(self, action: Action) -> None:
        """One attempt."""
        self._last = await self._redeemer.run_once()


def _condition(observed: PendingTickets) -> Condition:
    last = observed.last
    if last is not None and last.alarms:
        return _tickets(
            Status.FALSE, "Alarm", f"the contract refused in a way that should be impossible: {last.alarms[0]}"
        )
    if observed.count == 0:
        return _tickets(Status.TRUE, "NonePending", "no winning ticket waits")
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(last.waiting.items())) if last is not None else ""
    text = f"{observed.count} winning ticket(s) of {observed.value} wei wait"
    return _tickets(Status.TRUE, "Pending", f"{text}: {why}" if why else text)


def _tickets(status: Status, reason: str, message: str) -> Condition:
    return Condition("TicketsRedeemed", status, reason, message, gates_ready=False)
