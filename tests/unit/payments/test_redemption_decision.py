"""Every row of the redemption tables."""

from dataclasses import replace

import pytest

from livefleet.kernel import BlockNumber, Round, Wei
from livefleet.payments.decision import (
    AlreadyUsed,
    Facts,
    Lose,
    Redeem,
    Verdict,
    Wait,
    before_asking,
    decide,
    verdict,
)
from tests.builders.payments import CHAIN_VECTORS, a_head, a_sender, a_winner

pytestmark = pytest.mark.unit

WINNER = a_winner(face_value=Wei(1000), expiration_block=21_000_000)
EXPIRED = Lose("ticket is expired")
POOR = Wait("pays less than its transaction costs")
FACTS = Facts(
    used=False,
    active=True,
    sender=a_sender(deposit=Wei(5000), reserve_remaining=Wei(0)),
    claimable=Wei(0),
    pending=Wei(0),
    tx_cost=100,
)


def test_before_asking__all_is_well__goes_on():
    assert before_asking(WINNER, a_head(), max_gas_price=Wei(0)) == Redeem()


def test_before_asking__parameters_not_expired__waits():
    head = a_head(l1_block=BlockNumber(20_999_999))

    assert before_asking(WINNER, head, max_gas_price=Wei(0)) == Wait("parameters have not expired")


@pytest.mark.parametrize(
    ("current", "expected"), [(3500, Redeem()), (3501, Redeem()), (3502, Lose("ticket is expired"))]
)
def test_before_asking__rounds_pass__two_are_valid(current, expected):
    head = a_head(current_round=Round(current), last_initialized_round=Round(current))

    assert before_asking(WINNER, head, max_gas_price=Wei(0)) == expected


def test_before_asking__round_not_initialized__waits():
    head = a_head(current_round=Round(3501))

    assert before_asking(WINNER, head, max_gas_price=Wei(0)) == Wait("current round is not initialized")


def test_before_asking__gas_above_the_limit__waits():
    head = a_head(gas_price=Wei(11))

    assert before_asking(WINNER, head, max_gas_price=Wei(10)) == Wait("gas price is above the limit")
    assert before_asking(WINNER, head, max_gas_price=Wei(11)) == Redeem()


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, Redeem()),
        ({"used": True}, AlreadyUsed()),
        ({"used": True, "active": False}, AlreadyUsed()),
        ({"active": False}, Wait("recipient is not active")),
        ({"sender": a_sender(withdraw_round=Round(3500))}, Wait("sender is unlocked")),
        ({"sender": a_sender(withdraw_round=Round(3501))}, Redeem()),
        ({"claimable": None}, Wait("reserve share shrank below what was claimed")),
        ({"pending": Wei(4900)}, Wait("sender's funds do not cover the transaction")),
        ({"pending": Wei(4899)}, Redeem()),
        (
            {"sender": a_sender(deposit=Wei(0), reserve_remaining=Wei(5000))},
            POOR,
        ),
        ({"sender": a_sender(deposit=Wei(0), reserve_remaining=Wei(5000)), "claimable": Wei(101)}, Redeem()),
        ({"sender": a_sender(deposit=Wei(60)), "claimable": Wei(40)}, POOR),
        ({"sender": a_sender(deposit=Wei(60)), "claimable": Wei(41)}, Redeem()),
        ({"tx_cost": 1000}, POOR),
    ],
)
def test_decide__each_fact__has_its_answer(facts, expected):
    assert decide(WINNER, a_head(), replace(FACTS, **facts)) == expected


PERMANENT = [
    "recipient null",
    "aux empty",
    "aux wrong hash",
    "redeem expired (creationRound+2)",
    "bad recipientRand",
    "short sig",
    "sig v 0/1",
    "sig high s",
    "bad sig",
    "redeem loser",
]
RETRY = [
    "paused: redeem",
    "redeem in uninitialised round",
    "redeem after withdrawRound",
    "sender without funds",
    "recipient not registered",
]


def reason_of(case):
    return CHAIN_VECTORS["revertsByCase"][case].removeprefix("execution reverted: ")


@pytest.mark.parametrize("case", PERMANENT)
def test_verdict__contract_says_never__is_permanent(case):
    assert verdict(reason_of(case), WINNER, a_head()) is Verdict.PERMANENT


@pytest.mark.parametrize("case", RETRY)
def test_verdict__contract_says_not_now__is_tried_again(case):
    assert verdict(reason_of(case), WINNER, a_head()) is Verdict.RETRY


def test_verdict__ticket_is_used__is_done():
    assert verdict(reason_of("redeem used"), WINNER, a_head()) is Verdict.USED


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("ticket sender is null address", Verdict.PERMANENT),
        ("ECDSA: invalid signature 'v' value", Verdict.PERMANENT),
        ("transcoder must be active", Verdict.RETRY),
        ("Panic(0x11)", Verdict.RETRY),
        ("Panic(0x01)", Verdict.ALARM),
        ("", Verdict.RETRY),
        ("something new", Verdict.RETRY),
    ],
)
def test_verdict__other_reasons__are_told_apart(reason, expected):
    assert verdict(reason, WINNER, a_head()) is expected


@pytest.mark.parametrize(("last_round", "expected"), [(3500, Verdict.PERMANENT), (3499, Verdict.RETRY)])
def test_verdict__no_block_hash__depends_on_whether_the_round_is_to_come(last_round, expected):
    head = a_head(last_initialized_round=Round(last_round))

    assert verdict(reason_of("aux future round"), WINNER, head) is expected
