"""Numbered payments, the same in every process."""

from fractions import Fraction

from livefleet.kernel import SessionId, Wei
from livefleet.payments.records import PaymentRecord
from livefleet.payments.ticket import WinningTicket
from tests.builders.payments import GATEWAY, a_ticket

VALUE = Fraction(10**15, 3)
NONCES = (1, 2)
SESSION = SessionId("aabbccdd")


def a_numbered_winner(number: int) -> WinningTicket:
    ticket = a_ticket(sender_nonce=number, face_value=Wei(10**15 + number))
    return WinningTicket(ticket, b"\x07" * 65, 7, 100)


def a_numbered_payment(number: int) -> PaymentRecord:
    return PaymentRecord(
        account=(GATEWAY, SESSION),
        recipient_rand_hash=number.to_bytes(32, "big"),
        expiration_block=100,
        nonces=NONCES,
        ticket_value=VALUE,
        winners=(a_numbered_winner(number),),
        fixed_price=None,
        at=5.0,
    )
