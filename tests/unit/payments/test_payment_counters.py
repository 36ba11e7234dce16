import pytest

from livefleet.payments import BadPayment
from livefleet.payments.counters import PaymentCounters, error_code

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Expected price is nil", "InvalidPrice"),
        ("invalid already revealed recipientRand: 1", "InvalidRecipientRand"),
        ("invalid ticket faceValue", "InvalidTicketFaceValue"),
        ("invalid ticket winProb", "InvalidTicketWinProb"),
        ("invalid ticket signature", "PaymentError"),
        ('invalid expected price sent with payment err="pixels per unit is 0"', "PaymentError"),
    ],
)
def test_error_code__is_found_by_the_words(text, code):
    assert error_code(text) == code


def test_counters__a_thousand_senders__a_hundred_are_told_apart_and_no_ticket_is_lost():
    counters = PaymentCounters()
    for number in range(1000):
        sender = f"0x{number:040x}"
        counters.take(sender, tickets=2, value=5.0, winners=number % 2)
        counters.refuse(sender, BadPayment("no", kind="Some"))
        counters.quote(sender, max_float=number, face_value=1)
    assert len(counters.tickets.items()) == 101
    assert counters.tickets.total == 2000
    assert counters.ticket_value.total == 5000
    assert counters.winners.total == 500
    assert counters.errors.by(0) == {"PaymentError": 1000}
    assert len(counters.max_floats.items()) == len(counters.face_values.items()) == 100
