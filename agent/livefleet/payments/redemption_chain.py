"""What redeeming needs of the chain: looking, and sending."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from livefleet.chain import SpendLimit
from livefleet.kernel import Address, Round, Wei
from livefleet.payments.redemption_plan import SenderFunds
from livefleet.payments.round_times import RoundTimes
from livefleet.payments.ticket import WinningTicket

__all__ = ["Mined", "Redemption", "RedemptionChain", "RedemptionSender", "RedemptionView", "Survey", "Trial"]


@dataclass(frozen=True, slots=True)
class Redemption:
    """What became of one ticket in a mined transaction."""

    tx_hash: bytes
    paid: Wei  # of WinningTicketTransfer; less than the face value where the sender's funds did not reach


@dataclass(frozen=True, slots=True)
class Mined:
    """A mined transaction over one or more tickets. Those that are not in `paid` were refused inside."""

    tx_hash: bytes
    gas_used: int
    cost: Wei  # gas used times the price paid
    paid: Mapping[bytes, Wei]  # by ticket hash, of those that it redeemed


@dataclass(frozen=True, slots=True)
class Trial:
    """What the contract would say to a ticket alone."""

    gas: int = 0  # that it would take
    refusal: str | None = None  # the contract's reason; None: it would take the ticket


@dataclass(frozen=True, slots=True)
class Survey:
    """All that decides about tickets, read at one block."""

    active: Mapping[Address, bool]  # recipients, in the round of that block
    funds: Mapping[tuple[Address, Address], SenderFunds]  # by sender, recipient
    trials: Mapping[bytes, Trial]  # by ticket hash


class RedemptionView(Protocol):
    """The contracts as they are read."""

    async def times(self, current_round: Round) -> RoundTimes:
        """The protocol's clock; asked of the chain once a round. Raises Transient."""
        ...

    async def is_used(self, ticket_hash: bytes) -> bool:
        """Whether the contract has taken this ticket, even if it paid nothing. Raises Transient."""
        ...

    async def by_anyone(self, winner: WinningTicket, *, since: float) -> Redemption | None:
        """Which transaction redeemed a ticket at or after `since` (unix seconds), whoever sent it.

        None where the chain tells of none. Raises Transient where it cannot be searched now.
        """
        ...

    async def survey(self, winners: Sequence[WinningTicket]) -> Survey:
        """Try each ticket alone and read what they are paid from, at one block. Raises Transient."""
        ...


class RedemptionSender(Protocol):
    """One signer's transactions over tickets. A ticket is in one live transaction at most."""

    async def live(self) -> tuple[frozenset[bytes], ...]:
        """The tickets, by hash, of each transaction that is not settled yet; asks nothing of the chain."""
        ...

    async def allow(self, tickets: frozenset[bytes], limit: SpendLimit) -> None:
        """Let the live transaction over exactly these cost so much; nothing where there is none."""
        ...

    async def redeem(self, winners: Sequence[WinningTicket], *, gas: int, limit: SpendLimit) -> Mined:
        """Send, and wait until it is mined. `gas`: the transaction's limit.

        Raises Reverted with the contract's reason, or without one where it reverted when mined; Transient where
        nothing was sent or it is not known yet.
        """
        ...

    async def earlier(self, winner: WinningTicket) -> Redemption | None:
        """What one of our transactions did for a ticket, also one of an earlier life; None where none redeemed it."""
        ...


class RedemptionChain(RedemptionView, RedemptionSender, Protocol):
    """Both."""
