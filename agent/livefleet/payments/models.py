"""Payments as they come in, and what is quoted to senders."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from livefleet.kernel import Address, BlockNumber, Round, Wei, WinProb

__all__ = [
    "PaymentsSnapshot",
    "Quote",
    "ReceivedPayment",
    "SenderSignature",
    "TicketCount",
    "TicketExpiration",
    "TicketParams",
]


@dataclass(frozen=True, slots=True)
class TicketExpiration:
    """When a ticket was made, in the chain's terms. Source: lp_rpc.proto TicketExpirationParams."""

    creation_round: Round = Round(0)
    creation_round_block_hash: bytes = b"\0" * 32


@dataclass(frozen=True, slots=True)
class TicketParams:
    """What a recipient asks a sender to put in its tickets. Source: lp_rpc.proto TicketParams."""

    recipient: Address
    face_value: Wei  # paid if the ticket wins
    win_prob: WinProb  # wins when its hash is below, out of 2**256 - 1
    recipient_rand_hash: bytes  # 32 bytes, keccak256 of the recipient's random as u256
    seed: int  # from which the recipient derives its random again
    expiration_block: BlockNumber  # L1 block from which on the ticket is refused
    expiration: TicketExpiration


@dataclass(frozen=True, slots=True)
class SenderSignature:
    """One ticket of a payment. Source: lp_rpc.proto TicketSenderParams."""

    nonce: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class ReceivedPayment:
    """The header `Livepeer-Payment`, parsed but not yet checked."""

    sender: Address | None  # None: the field was empty (off-chain)
    ticket_params: TicketParams | None  # None: no tickets needed
    expiration: TicketExpiration
    tickets: tuple[SenderSignature, ...]
    price_per_unit: int | None  # None: expected_price was absent
    pixels_per_unit: int  # as received; may be 0 or negative, the receiver refuses that

    @property
    def expected_price(self) -> Fraction | None:
        """Wei per pixel as the sender says it; None when absent or not a valid price."""
        if self.price_per_unit is None or self.pixels_per_unit <= 0 or self.price_per_unit < 0:
            return None
        return Fraction(self.price_per_unit, self.pixels_per_unit)


@dataclass(frozen=True, slots=True)
class Quote:
    """What goes into an OrchestratorInfo. Both None off-chain."""

    price: Fraction | None  # wei per pixel or AI unit, exact
    ticket_params: TicketParams | None


@dataclass(frozen=True, slots=True)
class TicketCount:
    """How many tickets, and what they are worth together."""

    count: int = 0
    value: Fraction = Fraction(0)  # wei


@dataclass(frozen=True, slots=True)
class PaymentsSnapshot:
    """Payments at one moment. Ticket totals are since the store was made, so they survive restarts."""

    on_chain: bool
    recipient: Address
    price: Fraction  # wei per pixel before any adjustment, for senders without a price of their own
    received: TicketCount  # credited; value is their expected value
    won: TicketCount  # value is face value, as in the next three
    pending: TicketCount  # won, not redeemed and not lost
    redeemed: TicketCount
    lost: TicketCount  # can never be redeemed any more
    paid: Wei  # what redemptions really paid
    refused: Mapping[str, int]  # payments refused since start, by what was wrong
    balances: int  # (sender, session) pairs with a balance
    senders: tuple[Address, ...]  # with a balance
    credit: Fraction  # wei, sum of all balances
    store_fault: str  # why the last write failed; empty when it did not
