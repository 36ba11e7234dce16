"""Checking one payment: its price, its commitment, its tickets one by one."""

import asyncio
from fractions import Fraction

from livefleet.kernel import ZERO_ADDRESS, Address, BlockNumber
from livefleet.payments.errors import BadPayment
from livefleet.payments.models import ReceivedPayment, SenderSignature, TicketParams
from livefleet.payments.nonces import Nonces
from livefleet.payments.recipient import commitment, recipient_rand
from livefleet.payments.ticket import Ticket, WinningTicket, aux_data, expected_value

__all__ = ["Receipt", "check_commitment", "checked_price"]

_TICKETS_A_TURN = 16  # about a millisecond of signature checks before others get the loop


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
        self._payment = payment
        self._params = params
        self._sender = sender
        self._rand = rand
        self._aux = aux_data(payment.expiration)
        self._nonces = nonces
        self._expired = params.expiration_block <= l1_block

    async def take_tickets(self) -> None:
        """Check every ticket, giving others a turn on the loop now and then."""
        for index, signed in enumerate(self._payment.tickets):
            if index and index % _TICKETS_A_TURN == 0:
                await asyncio.sleep(0)
            try:
                self._take(signed)
            except BadPayment as error:
                self.error = error

    def _take(self, signed: SenderSignature) -> None:
        params = self._params
        ticket = Ticket(
            recipient=params.recipient,
            sender=self._sender,
            face_value=params.face_value,
            win_prob=params.win_prob,
            sender_nonce=signed.nonce,
            recipient_rand_hash=params.recipient_rand_hash,
            aux_data=self._aux,
        )
        if not ticket.is_signed(signed.signature):
            raise BadPayment("invalid ticket signature", kind="InvalidTicketSignature")
        if ticket.is_winning(signed.signature, self._rand):
            self.winners.append(WinningTicket(ticket, signed.signature, self._rand, params.expiration_block))
        if self._expired:
            self._nonces.check(params.recipient_rand_hash, self._sender, signed.nonce)
            raise BadPayment("TicketParams expired", kind="TicketParamsExpired")
        if self.error is not None:
            self._nonces.check(params.recipient_rand_hash, self._sender, signed.nonce)
            return
        self._nonces.reserve(params.recipient_rand_hash, params.expiration_block, self._sender, signed.nonce)
        self.credited.append(signed.nonce)


def _bad_price(what: str) -> BadPayment:
    return BadPayment(f'invalid expected price sent with payment err="{what}"', kind="InvalidPrice")
