"""Winning tickets redeemed: what is pending in the store against what the chain takes now."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from livefleet.kernel import Condition, Status
from livefleet.payments import Loss, Redeemer, RedeemingTurn, RedemptionReport, TicketState, Winners
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["TICKETS_REDEEMED", "PendingTickets", "RedemptionResource"]

TICKETS_REDEEMED = "TicketsRedeemed"

_NAMED = 3  # senders in a line

_BE_ACTIVE = "the orchestrator has to be in the active set: look at its stake and the pool's cut-off"
_DO: Mapping[str, str] = {
    "gas price is above the limit": "raise `urgent_max_gas_price` of the redemption duty",
    "recipient is not active": _BE_ACTIVE,
    "transcoder must be active": _BE_ACTIVE,
    "the redeeming key has too little ETH for gas": "send ETH to the key that redeems",
    "its transaction is not mined yet": "raise `urgent_max_gas_price`, or see what `ChainReachable` says",
    "sender is unlocked": "the gateway took its money out; ask it to fund itself again",
    "sender deposit and reserve are zero": "the gateway has no money on chain; ask it to fund itself",
    "current round is not initialized": "somebody has to initialise the round: `initialize_round` of the reward duty",
    "system is paused": "the protocol is paused; follow its announcements",
}


@dataclass(frozen=True, slots=True)
class PendingTickets:
    """Winners that wait, and how the last attempt went."""

    count: int
    value: int  # wei, sum of face values
    last: RedemptionReport
    losses: Sequence[Loss]  # lately
    standing_by: str = ""  # why another redeems; empty where it is this node's turn


class RedemptionResource:
    """One look over all pending tickets a turn; the redeemer itself decides ticket by ticket.

    `l1_block_s`: seconds that an L1 block takes, to say times in words. `turn`: where several redeemers share the
    store; None where this is the only one.
    """

    name = "redemption"

    def __init__(
        self,
        store: Winners,
        redeemer: Redeemer,
        *,
        every_s: float,
        l1_block_s: float = 12.0,
        turn: RedeemingTurn | None = None,
    ) -> None:
        self._store = store
        self._redeemer = redeemer
        self._every_s = every_s
        self._l1_block_s = l1_block_s
        self._turn = turn

    def look_every(self, every_s: float) -> None:
        """Seconds between looks from the next one on."""
        self._every_s = every_s

    async def observe(self) -> PendingTickets:
        """What the store holds."""
        pending = self._store.totals.of(TicketState.PENDING)
        return PendingTickets(
            pending.count,
            int(pending.value),
            self._redeemer.last,
            self._redeemer.losses.recent(),
            "" if self._turn is None else self._turn.standing_by,
        )

    def plan(self, observed: PendingTickets) -> Plan:
        """Redeem when something is pending and it is our turn."""
        if observed.standing_by:
            text = f"{observed.count} winning ticket(s) of {observed.value} wei wait; {observed.standing_by}"
            return Plan((), (_tickets(Status.TRUE, "StandingBy", text),), Again(self._every_s))
        actions = (Action(f"redeem {observed.count} winning ticket(s)"),) if observed.count else ()
        return Plan(actions, (self._condition(observed),), Again(self._every_s))

    async def apply(self, action: Action) -> None:
        """One look; what it sends goes on by itself."""
        await self._redeemer.look()

    def _condition(self, observed: PendingTickets) -> Condition:
        last, expiring = observed.last, observed.last.expiring
        if last.alarms and observed.count:
            text = f"the contract refused in a way that should be impossible: {last.alarms[0]}"
            return _tickets(Status.FALSE, "Alarm", text)
        if expiring.count and observed.count:
            minutes = round(expiring.blocks_left * self._l1_block_s / 60)
            text = (
                f"{expiring.count} winning ticket(s) of {expiring.value} wei can be redeemed for "
                f"{expiring.blocks_left} more L1 blocks (about {minutes} min) and are stuck: "
                f"{_listed(expiring.reasons)}"
            )
            return _tickets(Status.FALSE, "ExpiringSoon", text + _advice(expiring.reasons))
        if observed.losses:
            return _tickets(Status.FALSE, "Lost", _lost(observed.losses))
        if observed.count == 0:
            return _tickets(Status.TRUE, "NonePending", "no winning ticket waits")
        text = f"{observed.count} winning ticket(s) of {observed.value} wei wait"
        reasons = Counter(last.waiting)
        if last.in_flight:
            reasons["in a transaction"] = last.in_flight
        return _tickets(Status.TRUE, "Pending", f"{text}: {_listed(reasons)}" if reasons else text)


def _lost(losses: Sequence[Loss]) -> str:
    value = sum(loss.value for loss in losses)
    reasons = Counter(_reason(loss) for loss in losses)
    senders = sorted({loss.sender for loss in losses})
    named = ", ".join(senders[:_NAMED]) + (f" and {len(senders) - _NAMED} more" if len(senders) > _NAMED else "")
    waited = Counter(loss.waited_for for loss in losses if loss.waited_for)
    return (
        f"{len(losses)} winning ticket(s) of {value} wei from {named} were lost in the last 24 h: "
        f"{_listed(reasons)}{_advice(waited)}"
    )


def _reason(loss: Loss) -> str:
    return f"{loss.reason} after waiting ({loss.waited_for})" if loss.waited_for else loss.reason


def _listed(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def _advice(reasons: Mapping[str, int]) -> str:
    advice = list(dict.fromkeys(_DO[reason] for reason in sorted(reasons) if reason in _DO))
    return f"; {'; '.join(advice)}" if advice else ""


def _tickets(status: Status, reason: str, message: str) -> Condition:
    return Condition(TICKETS_REDEEMED, status, reason, message, gates_ready=False)
