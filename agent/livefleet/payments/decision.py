"""What to do with a winning ticket: pure functions over what is known.

Source: TicketBroker.redeemWinningTicket and its revert strings in checking order; go-livepeer pm/queue.go.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

from livefleet.chain.models import ChainHead
from livefleet.payments.departure import Departure
from livefleet.payments.redemption_policy import RedemptionPolicy
from livefleet.payments.round_times import RoundTimes
from livefleet.payments.ticket import WinningTicket

__all__ = [
    "VALIDITY_ROUNDS",
    "Decision",
    "Lose",
    "Moment",
    "Redeem",
    "Verdict",
    "Wait",
    "Why",
    "before_asking",
    "verdict",
    "waits_for",
]

VALIDITY_ROUNDS = 2
"""ticketValidityPeriod of the protocol as it was deployed: the creation round and the next one."""


class Why(StrEnum):
    """What a ticket waits for: the words of the metric's label."""

    PARAMETERS = "parameters"  # to expire
    ROUND = "round"  # to be initialised
    GAS_PRICE = "gas_price"  # to fall
    COST = "cost"  # of redeeming it to fall below what it pays
    FUNDS = "funds"  # of the sender
    RESERVE_SHARE = "reserve_share"  # of the next round
    SENDER_UNLOCKED = "sender_unlocked"
    INACTIVE = "inactive"  # the recipient
    COLLECTING = "collecting"  # others for a batch
    IN_LINE = "in_line"  # for one of the transactions under way to end
    FAILED = "failed"  # some time after a transaction that failed
    PAUSED = "paused"  # the protocol
    CHAIN = "chain"  # an endpoint, a fee, the key's ETH
    REFUSED = "refused"  # the contract said something else


@dataclass(frozen=True, slots=True)
class Redeem:
    """It may be sent, as far as this says."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now; look again."""

    why: Why
    text: str


@dataclass(frozen=True, slots=True)
class Lose:
    """It can never be redeemed, where this is true: the contract has the last word."""

    reason: str


Decision = Redeem | Wait | Lose


class Verdict(Enum):
    """What a revert means."""

    PERMANENT = "permanent"
    RETRY = "retry"
    USED = "used"
    ALARM = "alarm"  # kept and tried again, but somebody should look


@dataclass(frozen=True, slots=True)
class Moment:
    """What the shared view of the chain says, the same for every ticket."""

    head: ChainHead
    times: RoundTimes
    closed_before: int = 0  # parameters that expire before this block are closed for good: their random may be shown
    departure: Departure | None = None  # of the recipient from the active set

    def blocks_left(self, winner: WinningTicket) -> int:
        """L1 blocks in which the ticket can still be redeemed; zero or less: none."""
        end = self.times.ends(winner.ticket.creation_round)
        if self.departure is not None and self.departure.is_sure:
            end = min(end, self.departure.at_block)
        return end - self.head.l1_block

    def is_urgent(self, winner: WinningTicket, policy: RedemptionPolicy) -> bool:
        """Whether patience is over: its last moment nears, or the recipient may leave the active set."""
        return self.departure is not None or policy.is_urgent(self.blocks_left(winner), self.times.length)


def before_asking(winner: WinningTicket, moment: Moment, policy: RedemptionPolicy) -> Decision:
    """What the shared view of the chain already decides; Redeem means `find out more`."""
    head = moment.head
    if moment.times.is_past(winner.ticket.creation_round, head.current_round):
        return Lose("ticket is expired")
    if not head.round_is_initialized:
        return Wait(Why.ROUND, "current round is not initialized")
    if winner.expiration_block > max(head.l1_block, moment.closed_before - 1):
        # Redeeming shows recipientRand; the sender could then make tickets that only lose.
        return Wait(Why.PARAMETERS, "parameters have not expired")
    ceiling = policy.price_ceiling(urgent=moment.is_urgent(winner, policy))
    if ceiling and head.gas_price > ceiling:
        return Wait(Why.GAS_PRICE, "gas price is above the limit")
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

_WAITS_FOR = {
    "system is paused": Why.PAUSED,
    "current round is not initialized": Why.ROUND,
    "sender is unlocked": Why.SENDER_UNLOCKED,
    "sender deposit and reserve are zero": Why.FUNDS,
    "transcoder must be active": Why.INACTIVE,
    "transcoder must be registered": Why.INACTIVE,
    "Panic(0x11)": Why.RESERVE_SHARE,
}


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


def waits_for(reason: str) -> Wait:
    """What a ticket waits for that the contract refuses for now."""
    return Wait(_WAITS_FOR.get(reason, Why.REFUSED), reason or "the contract refused without a reason")
