"""Winning tickets that another node redeems from the shared database: looked at, and said where nobody does."""

from dataclasses import dataclass

from livefleet.chain import Leases
from livefleet.kernel import Address, Condition, Status
from livefleet.payments import TicketState, Winners, redeeming_lease
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["SharedWinnersResource", "WaitingWinners"]

_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class WaitingWinners:
    """This node's winners that wait, and who redeems."""

    count: int
    value: int  # wei, sum of face values
    redeemer: str | None  # None: nobody


class SharedWinnersResource:
    """Looks, and does nothing: what has to be done is another node's duty."""

    name = "redemption"

    def __init__(self, winners: Winners, leases: Leases, recipient: Address, *, every_s: float = _EVERY_S) -> None:
        self._winners = winners
        self._leases = leases
        self._recipient = recipient
        self._every_s = every_s

    async def observe(self) -> WaitingWinners:
        """What the database holds, and whose turn it is."""
        pending = self._winners.totals.of(TicketState.PENDING)
        holder = await self._leases.holder(redeeming_lease(self._recipient))
        return WaitingWinners(pending.count, int(pending.value), None if holder is None else holder.holder)

    def plan(self, observed: WaitingWinners) -> Plan:
        """Never an action."""
        return Plan((), (self._condition(observed),), Again(self._every_s))

    async def apply(self, action: Action) -> None:
        """There is none."""

    def _condition(self, observed: WaitingWinners) -> Condition:
        text = f"{observed.count} winning ticket(s) of {observed.value} wei wait"
        if observed.redeemer is None:
            advice = "start a node with the role redeemer, or with the duty redemption, on this database"
            return _tickets(Status.FALSE, "NobodyRedeems", f"{text}; nobody redeems for {self._recipient}: {advice}")
        if not observed.count:
            return _tickets(Status.TRUE, "NonePending", f"no winning ticket waits; {observed.redeemer} redeems")
        return _tickets(Status.TRUE, "WithRedeemer", f"{text}; {observed.redeemer} redeems")


def _tickets(status: Status, reason: str, message: str) -> Condition:
    return Condition("TicketsRedeemed", status, reason, message, gates_ready=False)
