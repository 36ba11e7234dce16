"""What redeeming needs of the chain, and the TicketBroker behind it."""

from dataclasses import dataclass
from typing import Protocol

from livefleet.chain import Reverted, TicketBroker, Transactions
from livefleet.chain.models import TransactionOutcome
from livefleet.kernel import Address, Wei
from livefleet.payments.ticket import WinningTicket

__all__ = ["BrokerRedemption", "Redemption", "RedemptionChain"]


@dataclass(frozen=True, slots=True)
class Redemption:
    """A mined redemption."""

    tx_hash: bytes
    paid: Wei  # of WinningTicketTransfer; less than the face value where the sender's funds did not reach


class RedemptionChain(Protocol):
    """The contract and a signer's transactions."""

    async def is_used(self, ticket_hash: bytes) -> bool:
        """Whether the contract has taken this ticket, even if it paid nothing."""
        ...

    async def claimable_reserve(self, sender: Address) -> Wei:
        """What is left for us of the sender's reserve this round. Raises Reverted(`Panic(0x11)`) after pool growth."""
        ...

    async def redeem(self, winner: WinningTicket, *, max_gas_price: Wei) -> Redemption:
        """Send, or join what is under way, and wait until it is mined.

        Raises Reverted with the contract's reason, or without one where it reverted when mined; Transient where
        nothing was sent or it is not known yet.
        """
        ...

    async def earlier(self, winner: WinningTicket) -> Redemption | None:
        """How an earlier life's transaction ended, where it succeeded."""
        ...


class BrokerRedemption:
    """RedemptionChain over the TicketBroker."""

    def __init__(self, broker: TicketBroker, transactions: Transactions, *, recipient: Address) -> None:
        self._broker = broker
        self._transactions = transactions
        self._recipient = recipient

    async def is_used(self, ticket_hash: bytes) -> bool:
        """As the contract says."""
        return await self._broker.is_used(ticket_hash)

    async def claimable_reserve(self, sender: Address) -> Wei:
        """As the contract says."""
        return await self._broker.claimable_reserve(sender, self._recipient)

    async def redeem(self, winner: WinningTicket, *, max_gas_price: Wei) -> Redemption:
        """One redeemWinningTicket; its purpose is the ticket, so a ticket has one live transaction at most."""
        ticket = winner.ticket
        call = self._broker.redeem_call(
            recipient=ticket.recipient,
            sender=ticket.sender,
            face_value=ticket.face_value,
            win_prob=ticket.win_prob,
            sender_nonce=ticket.sender_nonce,
            recipient_rand_hash=ticket.recipient_rand_hash,
            aux_data=ticket.aux_data,
            signature=winner.signature,
            recipient_rand=winner.recipient_rand,
        )
        outcome = await self._transactions.send(_purpose(winner), call, max_gas_price=max_gas_price)
        if not outcome.succeeded:
            raise Reverted("")
        return self._redemption(winner, outcome)

    async def earlier(self, winner: WinningTicket) -> Redemption | None:
        """The outcome of the ticket's latest transaction, where it was mined and succeeded."""
        try:
            outcome = await self._transactions.outcome(_purpose(winner))
        except Reverted:
            return None
        return self._redemption(winner, outcome) if outcome is not None and outcome.succeeded else None

    def _redemption(self, winner: WinningTicket, outcome: TransactionOutcome) -> Redemption:
        ticket = winner.ticket
        paid = self._broker.paid_amount(outcome, sender=ticket.sender, recipient=ticket.recipient)
        return Redemption(outcome.tx_hash, paid)


def _purpose(winner: WinningTicket) -> str:
    return f"redeem:{winner.ticket.hash.hex()}"
