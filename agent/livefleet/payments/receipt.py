"""Checking one payment: its price, its commitment, its tickets one by one."""

import asyncio
from fractions import Fraction

from livefleet.chain import keccak256, recover_address
from livefleet.kernel import ZERO_ADDRESS, Address, BlockNumber, to_u256
from livefleet.payments.errors import BadPayment
from livefleet.payments.models import ReceivedPayment, SenderSignature, TicketParams
from livefleet.payments.nonces import Nonces
from livefleet.payments.recipient import commitment, recipient_rand
from livefleet.payments.recovery import Recovery, Signed
from livefleet.payments.ticket import TicketForm, WinningTicket, address_bytes, aux_data, expected_value

__all__ = ["LARGE", "TICKETS_A_TURN", "Receipt", "check_commitment", "checked_price"]

TICKETS_A_TURN = 16
"""About a millisecond of signature checks before others get the loop."""

LARGE = 100
"""Payments of more tickets are checked elsewhere if possible: ten milliseconds of the loop on a slow core (10,000 a
second), half of that on a fast one. Below, asking another process gains nothing that gateways would notice."""

_CHUNK = 128  # tickets to ask of a process at a time, so that large payments take turns there too
_SIGNATURE_BYTES = 65


def checked_price(payment: ReceivedPayment) -> Fraction:
    """The price that the sender expects. Raises BadPayment.

    Negative numbers are refused: their sign is invisible to the commitment and would turn a debit into a credit.
    """
    if payment.price_per_unit is None:
        raise _bad_price("expected price is nil")
    if payment.pixels_per_unit == 0:
        raise _bad_price("pixels per unit is 0")
    price = payment.expected_price
    if price is None:
        raise _bad_price("price is negative")
    return price


def check_commitment(
    payment: ReceivedPayment,
    params: TicketParams,
    *,
    sender: Address,
    recipient: Address,
    price: Fraction,
    secret: bytes,
) -> int:
    """Whether we quoted exactly this, to this sender; the recipient's random. Raises BadPayment."""
    if params.recipient != recipient:
        raise BadPayment("invalid ticket recipient", kind="InvalidTicketRecipient")
    if sender == ZERO_ADDRESS:
        raise BadPayment("invalid ticket sender", kind="InvalidTicketSender")
    rand = recipient_rand(
        secret,
        seed=params.seed,
        sender=sender,
        value=params.face_value,
        odds=params.win_prob,
        expiration_block=params.expiration_block,
        price=price,
        aux=aux_data(payment.expiration),
    )
    if commitment(rand) != params.recipient_rand_hash:
        raise BadPayment("invalid recipientRand for ticket recipientRandHash", kind="InvalidRecipientRand")
    return rand


class Receipt:
    """What comes of one payment's tickets."""

    def __init__(
        self,
        payment: ReceivedPayment,
        params: TicketParams,
        sender: Address,
        rand: int,
        nonces: Nonces,
        l1_block: BlockNumber,
    ) -> None:
        self.credited: list[int] = []
        """Nonces of tickets to credit; reserved."""

        self.winners: list[WinningTicket] = []
        """To be redeemed, those with a used nonce or expired parameters too."""

        self.error: BadPayment | None = None
        """The last one; from the first on nothing more was credited."""

        self.ticket_value = expected_value(params.face_value, params.win_prob)
        self._tickets = payment.tickets
        self._params = params
        self._sender = sender
        self._sender_bytes = address_bytes(sender)
        self._rand = rand
        self._rand_bytes = to_u256(rand)
        self._form = TicketForm(params, sender, aux_data(payment.expiration))
        self._nonces = nonces
        self._expired = params.expiration_block <= l1_block

    async def take_tickets(self, recovery: Recovery) -> None:
        """Check every ticket in order, giving others a turn on the loop now and then."""
        large = len(self._tickets) > LARGE
        for start in range(0, len(self._tickets), _CHUNK):
            chunk = self._tickets[start : start + _CHUNK]
            signers = await recovery.recover([self._signed(ticket) for ticket in chunk]) if large else None
            for index, ticket in enumerate(chunk):
                if (start or index) and index % TICKETS_A_TURN == 0:
                    await asyncio.sleep(0)
                signer = recover_address(*self._signed(ticket)) if signers is None else signers[index]
                try:
                    self._take(ticket, signer)
                except BadPayment as error:
                    self.error = error

    def _signed(self, ticket: SenderSignature) -> Signed:
        signature = ticket.signature
        if len(signature) != _SIGNATURE_BYTES:
            signature = bytes(_SIGNATURE_BYTES)  # as wrong, and of the length that a process reads
        return self._form.hash(ticket.nonce), signature

    def _take(self, ticket: SenderSignature, signer: bytes | None) -> None:
        params = self._params
        if signer != self._sender_bytes:
            raise BadPayment("invalid ticket signature", kind="InvalidTicketSignature")
        if int.from_bytes(keccak256(ticket.signature + self._rand_bytes), "big") < params.win_prob:
            won = self._form.ticket(ticket.nonce)
            self.winners.append(WinningTicket(won, ticket.signature, self._rand, params.expiration_block))
        if self._expired:
            self._nonces.check(params.recipient_rand_hash, self._sender, ticket.nonce)
            raise BadPayment("TicketParams expired", kind="TicketParamsExpired")
        if self.error is not None:
            self._nonces.check(params.recipient_rand_hash, self._sender, ticket.nonce)
            return
        self._nonces.reserve(params.recipient_rand_hash, params.expiration_block, self._sender, ticket.nonce)
        self.credited.append(ticket.nonce)


def _bad_price(what: str) -> BadPayment:
    return BadPayment(f'invalid expected price sent with payment err="{what}"', kind="InvalidPrice")
