"""What the store writes and gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from livefleet.kernel import Address, Wei
from livefleet.payments.balance import Account, Balance
from livefleet.payments.models import TicketCount
from livefleet.payments.ticket import WinningTicket

__all__ = [
    "Commitment",
    "DebitRecord",
    "ForgetBalances",
    "ForgetTickets",
    "Later",
    "Loaded",
    "LostTicket",
    "PaymentRecord",
    "PruneNonces",
    "Settlement",
    "StoredTicket",
    "TicketState",
    "Totals",
    "Write",
]


class TicketState(StrEnum):
    """What became of a winning ticket."""

    PENDING = "pending"  # to be redeemed
    REDEEMED = "redeemed"  # used on chain
    LOST = "lost"  # can never be redeemed


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """One payment's good tickets and winners: becomes durable as a whole or not at all."""

    account: Account
    recipient_rand_hash: bytes
    expiration_block: int
    nonces: tuple[int, ...]  # of tickets to credit
    ticket_value: Fraction  # credited for each nonce that was not there yet
    winners: tuple[WinningTicket, ...]
    fixed_price: Fraction | None  # stays only where the session has none
    at: float  # unix seconds


@dataclass(frozen=True, slots=True)
class DebitRecord:
    """A fee taken from a balance."""

    account: Account
    fee: Fraction
    at: float


@dataclass(frozen=True, slots=True)
class ForgetBalances:
    """Balances dropped as idle."""

    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class PruneNonces:
    """Forget the nonces of parameter sets that expired before `block`."""

    block: int


@dataclass(frozen=True, slots=True)
class ForgetTickets:
    """Forget tickets that ended before `before`; the totals keep them."""

    before: float  # unix seconds


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of a winning ticket."""

    ticket_hash: bytes
    state: TicketState
    note: str
    tx_hash: bytes | None = None
    paid: Wei | None = None  # None: not known
    at: float = 0.0


Later = DebitRecord | ForgetBalances | PruneNonces | ForgetTickets
"""What nobody waits for."""

Write = PaymentRecord | Settlement | Later


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """A winning ticket and what became of it."""

    winner: WinningTicket
    state: TicketState
    session: str
    received_at: float  # unix seconds
    note: str  # why it waits, or how it ended
    tx_hash: bytes | None
    paid: Wei | None


@dataclass(frozen=True, slots=True)
class LostTicket:
    """What a store tells of a ticket that was lost."""

    at: float  # unix seconds
    sender: Address
    face_value: Wei
    note: str  # how it ended


@dataclass(frozen=True, slots=True)
class Commitment:
    """Nonces seen for one parameter set."""

    sender: Address
    expiration_block: int
    nonces: frozenset[int]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a process knows when it starts."""

    balances: Mapping[Account, Balance]
    commitments: Mapping[bytes, Commitment]  # by recipient_rand_hash
    floor: int  # parameter sets that expired before this block are forgotten


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over everything that the store ever took."""

    received: TicketCount = field(default_factory=TicketCount)
    by_state: Mapping[TicketState, TicketCount] = field(default_factory=dict)
    paid: Wei = Wei(0)

    def of(self, state: TicketState) -> TicketCount:
        """Tickets in one state."""
        return self.by_state.get(state, TicketCount())

    @property
    def won(self) -> TicketCount:
        """Tickets in any state."""
        counts = self.by_state.values()
        return TicketCount(sum(c.count for c in counts), sum((c.value for c in counts), Fraction(0)))
