"""What to do with a winning ticket: pure functions over what is known.

Source: TicketBroker.redeemWinningTicket and its revert strings in checking order; go-livepeer pm/queue.go.
"""

from dataclasses import dataclass
from enum import Enum

from livefleet.chain.models import ChainHead, SenderInfo
from livefleet.kernel import Wei
from livefleet.payments.sender_monitor import available_funds
from livefleet.payments.ticket import WinningTicket

__all__ = [
    "VALIDITY_ROUNDS",
    "AlreadyUsed",
    "Decision",
    "Facts",
    "Lose",
    "Redeem",
    "Verdict",
    "Wait",
    "before_asking",
    "decide",
    "verdict",
]

VALIDITY_ROUNDS = 2
"""ticketValidityPeriod: the creation round and the next one."""


@dataclass(frozen=True, slots=True)
class Redeem:
    """Send it now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now; look again."""

    reason: str


@dataclass(frozen=True, slots=True)
class AlreadyUsed:
    """The contract has it: nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Lose:
    """It can never be redeemed."""

    reason: str


Decision = Redeem | Wait | AlreadyUsed | Lose


@dataclass(frozen=True, slots=True)
class Facts:
    """What the chain says about one ticket."""

    used: bool
    active: bool  # the recipient, this round
    sender: SenderInfo
    claimable: Wei | None  # of the sender's reserve; None where the contract cannot say this round
    pending: Wei  # face values of this sender's that are being redeemed
    tx_cost: int  # wei


class Verdict(Enum):
    """What a revert means."""

    PERMANENT = "permanent"
    RETRY = "retry"
    USED = "used"
    ALARM = "alarm"  # kept and tried again, but somebody should look


def before_asking(winner: WinningTicket, head: ChainHead, *, max_gas_price: Wei) -> Decision:
    """What the shared view of the chain already decides; Redeem means `find out more`."""
    if winner.ticket.creation_round + VALIDITY_ROUNDS <= head.current_round:
        return Lose("ticket is expired")
    if not head.round_is_initialized:
        return Wait("current round is not initialized")
    if winner.expiration_block > head.l1_block:
        # Redeeming shows recipientRand; the sender could then make tickets that only lose.
        return Wait("parameters have not expired")
    if max_gas_price and head.gas_price > max_gas_price:
        return Wait("gas price is above the limit")
    return Redeem()


def decide(winner: WinningTicket, head: ChainHead, facts: Facts) -> Decision:
    """Whether sending pays, for a ticket that `before_asking` let through."""
    if facts.used:
        return AlreadyUsed()
    if not facts.active:
        return Wait("recipient is not active")
    sender = facts.sender
    if sender.withdraw_round and sender.withdraw_round <= head.current_round:
        return Wait("sender is unlocked")
    if facts.claimable is None:
        return Wait("reserve share shrank below what was claimed")
    if available_funds(sender, head.pool_size, facts.pending) <= facts.tx_cost:
        return Wait("sender's funds do not cover the transaction")
    deposit = max(0, sender.deposit - facts.pending)
    face_value = winner.ticket.face_value
    paid = min(face_value, deposit) + min(max(0, face_value - deposit), facts.claimable)
    if paid <= facts.tx_cost:
        return Wait("pays less than its transaction costs")
    return Redeem()


_PERMANENT = frozenset(
    {
        "ticket recipient is null address",
        "ticket sender is null address",
        "invalid length for ticket auxData: must be 64 bytes",
        "ticket creationRoundBlockHash invalid for creationRound",
        "ticket is expired",
        "recipientRand does not match recipientRandHash",
        "INVALID_SIGNATURE_LENGTH",
        "ECDSA: invalid signature",
        "ECDSA: invalid signature 's' value",
        "ECDSA: invalid signature 'v' value",
        "ECDSA: invalid signature length",
        "invalid signature over ticket hash",
        "ticket did not win",
    }
)


def verdict(reason: str, winner: WinningTicket, head: ChainHead) -> Verdict:
    """What a revert of redeemWinningTicket means. An unknown reason is tried again: a ticket is not guessed away."""
    if reason in {"ticket is used", "ticket already used"}:
        return Verdict.USED
    if reason in _PERMANENT:
        return Verdict.PERMANENT
    if reason == "ticket creationRound does not have a block hash":
        # The chain that said so has that round behind it, or its stored hash is zero for good.
        past = winner.ticket.creation_round <= head.last_initialized_round
        return Verdict.PERMANENT if past else Verdict.RETRY
    if reason == "Panic(0x01)":
        return Verdict.ALARM
    return Verdict.RETRY
