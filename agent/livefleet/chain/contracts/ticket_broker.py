"""The TicketBroker: what senders have locked, and redemption."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from livefleet.chain.abi import Event, Function
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.models import Call, SenderInfo, TransactionOutcome
from livefleet.chain.rpc import Block, Read
from livefleet.kernel import Address, Round, Wei, WinProb

__all__ = ["RedeemedTicket", "SignedTicket", "TicketBroker"]

GET_SENDER_INFO = Function.parse(
    "getSenderInfo(address sender) returns "
    "((uint256 deposit, uint256 withdrawRound), (uint256 fundsRemaining, uint256 claimedInCurrentRound))"
)
CLAIMED_RESERVE = Function.parse("claimedReserve(address holder, address claimant) returns (uint256)")
CLAIMABLE_RESERVE = Function.parse("claimableReserve(address holder, address claimant) returns (uint256)")
USED_TICKETS = Function.parse("usedTickets(bytes32 ticketHash) returns (bool)")
TICKET_VALIDITY_PERIOD = Function.parse("ticketValidityPeriod() returns (uint256)")
REDEEM_WINNING_TICKET = Function.parse(
    "redeemWinningTicket((address recipient, address sender, uint256 faceValue, uint256 winProb, uint256 senderNonce, "
    "bytes32 recipientRandHash, bytes auxData) ticket, bytes sig, uint256 recipientRand)"
)
BATCH_REDEEM_WINNING_TICKETS = Function.parse(
    "batchRedeemWinningTickets((address recipient, address sender, uint256 faceValue, uint256 winProb, "
    "uint256 senderNonce, bytes32 recipientRandHash, bytes auxData)[] tickets, bytes[] sigs, "
    "uint256[] recipientRands)"
)
FUND_DEPOSIT_AND_RESERVE = Function.parse("fundDepositAndReserve(uint256 depositAmount, uint256 reserveAmount)")
UNLOCK = Function.parse("unlock()")
CANCEL_UNLOCK = Function.parse("cancelUnlock()")
WITHDRAW = Function.parse("withdraw()")
WINNING_TICKET_TRANSFER = Event.parse(
    "WinningTicketTransfer(address indexed sender, address indexed recipient, uint256 amount)"
)
WINNING_TICKET_REDEEMED = Event.parse(
    "WinningTicketRedeemed(address indexed sender, address indexed recipient, uint256 faceValue, uint256 winProb, "
    "uint256 senderNonce, uint256 recipientRand, bytes auxData)"
)
RESERVE_CLAIMED = Event.parse("ReserveClaimed(address indexed reserveHolder, address claimant, uint256 amount)")


@dataclass(frozen=True, slots=True)
class SignedTicket:
    """What redeeming one winning ticket takes, as the contract names it."""

    recipient: Address
    sender: Address
    face_value: Wei
    win_prob: WinProb
    sender_nonce: int
    recipient_rand_hash: bytes
    aux_data: bytes
    signature: bytes
    recipient_rand: int

    @property
    def fields(self) -> tuple[Any, ...]:
        """The contract's Ticket tuple."""
        return (
            self.recipient,
            self.sender,
            self.face_value,
            self.win_prob,
            self.sender_nonce,
            self.recipient_rand_hash,
            self.aux_data,
        )


@dataclass(frozen=True, slots=True)
class RedeemedTicket:
    """One ticket that a mined transaction redeemed. Source: WinningTicketRedeemed."""

    sender: Address
    recipient: Address
    face_value: Wei
    sender_nonce: int
    recipient_rand: int
    paid: Wei  # of its WinningTicketTransfer; 0 where it was used up for nothing


class TicketBroker(Contract):
    """Reads of senders' funds; calls that fund, redeem and withdraw."""

    async def sender_info(self, sender: Address, claimant: Address, *, block: Block = "latest") -> SenderInfo:
        """A sender's funds, and what `claimant` took of its reserve this round."""
        funds, claimed = await self.rpc.read_all(self.sender_info_reads(sender, claimant), block=block)
        return self.to_sender_info(funds, claimed)

    def sender_info_reads(self, sender: Address, claimant: Address) -> list[Read]:
        """The two views behind `sender_info`, to be batched with others."""
        return [self.read(GET_SENDER_INFO, sender), self.read(CLAIMED_RESERVE, sender, claimant)]

    @staticmethod
    def to_sender_info(funds: tuple[Any, ...], claimed_by_recipient: tuple[Any, ...]) -> SenderInfo:
        """What the answers of `sender_info_reads` say."""
        (deposit, withdraw_round), (remaining, claimed) = funds
        return SenderInfo(
            deposit=Wei(deposit),
            withdraw_round=Round(withdraw_round),
            reserve_remaining=Wei(remaining),
            reserve_claimed_in_round=Wei(claimed),
            reserve_claimed_by_recipient=Wei(claimed_by_recipient[0]),
        )

    async def is_used(self, ticket_hash: bytes) -> bool:
        """Whether a ticket was redeemed, even if it paid nothing."""
        return bool(await self.ask(USED_TICKETS, ticket_hash))

    async def claimable_reserve(self, sender: Address, claimant: Address) -> Wei:
        """What `claimant` can still take of the reserve this round; 0 unless it is active.

        Raises Reverted(`Panic(0x11)`) in a round where the pool grew after the claimant took its old share.
        """
        return Wei(await self.ask(CLAIMABLE_RESERVE, sender, claimant))

    async def ticket_validity_period(self) -> int:
        """Rounds for which a ticket can be redeemed, its creation round included."""
        return int(await self.ask(TICKET_VALIDITY_PERIOD))

    def redeem_call(self, ticket: SignedTicket) -> Call:
        """Redeem one winning ticket. Anybody may send it; the recipient is paid."""
        return self.call(REDEEM_WINNING_TICKET, ticket.fields, ticket.signature, ticket.recipient_rand)

    def batch_redeem_call(self, tickets: Sequence[SignedTicket]) -> Call:
        """Redeem several. One that the contract refuses stops no other, and the transaction succeeds all the same.

        For the same reason eth_estimateGas is too small for it: at the estimate the last ticket starves.
        """
        return self.call(
            BATCH_REDEEM_WINNING_TICKETS,
            [ticket.fields for ticket in tickets],
            [ticket.signature for ticket in tickets],
            [ticket.recipient_rand for ticket in tickets],
        )

    def redeemed(self, outcome: TransactionOutcome) -> tuple[RedeemedTicket, ...]:
        """The tickets that a mined transaction redeemed, single or batch, in its order.

        A transfer names no ticket: it stands right before the WinningTicketRedeemed of the one that it pays, and there
        is none where nothing is paid.
        """
        return self.redeemed_in(outcome.logs)

    def redeemed_in(self, logs: Iterable[tuple[Address, tuple[bytes, ...], bytes]]) -> tuple[RedeemedTicket, ...]:
        """The same from one transaction's logs (address, topics, data): all of them, or all of some senders'."""
        found: list[RedeemedTicket] = []
        transfer: tuple[Address, Address, int] | None = None
        for address, topics, data in logs:
            if address != self.address:
                continue
            if WINNING_TICKET_TRANSFER.matches(topics):
                transfer = WINNING_TICKET_TRANSFER.decode(topics, data)
            elif WINNING_TICKET_REDEEMED.matches(topics):
                sender, recipient, face_value, _, nonce, rand, _ = WINNING_TICKET_REDEEMED.decode(topics, data)
                paid = transfer[2] if transfer is not None and transfer[:2] == (sender, recipient) else 0
                found.append(RedeemedTicket(sender, recipient, Wei(face_value), nonce, rand, Wei(paid)))
                transfer = None
        return tuple(found)

    def fund_call(self, deposit: Wei, reserve: Wei) -> Call:
        """Add to the signer's own deposit and reserve; also cancels an unlock under way."""
        return self.call(FUND_DEPOSIT_AND_RESERVE, deposit, reserve, value=Wei(deposit + reserve))

    def unlock_call(self) -> Call:
        """Begin to take the signer's deposit and reserve out."""
        return self.call(UNLOCK)

    def cancel_unlock_call(self) -> Call:
        """Stay after all."""
        return self.call(CANCEL_UNLOCK)

    def withdraw_call(self) -> Call:
        """Take deposit and reserve out, once the unlock period is over."""
        return self.call(WITHDRAW)
