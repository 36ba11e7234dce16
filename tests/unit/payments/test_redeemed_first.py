"""What the reward of an evicted orchestrator waits for."""

from collections import Counter

import pytest

from livefleet.payments import RedemptionReport, Why, redeemed_first

pytestmark = pytest.mark.unit


def a_report(**why):
    return RedemptionReport(why=Counter({Why[name]: count for name, count in why.items()}))


@pytest.mark.parametrize(
    ("pending", "report", "tickets"),
    [
        (0, RedemptionReport(), 0),
        (3, RedemptionReport(), 3),  # nobody has looked yet
        (3, a_report(PARAMETERS=1, GAS_PRICE=1, CHAIN=1), 3),
        (3, a_report(FUNDS=1, COST=1, SENDER_UNLOCKED=1), 0),  # not for any patience
        (4, a_report(FUNDS=1, COST=1, REFUSED=1), 1),  # one is in a transaction, or has come since
        (1, a_report(FUNDS=2), 0),
    ],
)
def test_redeemed_first__counts_what_waiting_helps(pending, report, tickets):
    text = redeemed_first(pending, report)
    assert text == (f"{tickets} winning ticket(s) are being redeemed" if tickets else "")
