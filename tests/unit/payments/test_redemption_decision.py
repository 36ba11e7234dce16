"""Every row of the redemption tables."""

import pytest

from livefleet.kernel import BlockNumber, Round, Wei
from livefleet.payments.decision import Lose, Moment, Redeem, Verdict, Wait, Why, before_asking, verdict, waits_for
from livefleet.payments.departure import Departure, DepartureKind
from livefleet.payments.redemption_policy import RedemptionPolicy
from livefleet.spec import RedemptionDuty
from tests.builders.payments import CHAIN_VECTORS, a_head, a_winner
from tests.builders.redeeming import ROUND_LENGTH, some_times

pytestmark = pytest.mark.unit

WINNER = a_winner(face_value=Wei(1000), expiration_block=21_000_000)
POLICY = RedemptionPolicy(max_gas_price=Wei(10), urgent_before=600, urgent_max_gas_price=Wei(100))
DEAR = Wait(Why.GAS_PRICE, "gas price is above the limit")
END = 20_999_900 + 2 * ROUND_LENGTH  # the first L1 block of the round in which it is refused


def a_moment(*, departure=None, closed_before=0, times=None, **head):
    return Moment(a_head(**({"gas_price": Wei(1)} | head)), times or some_times(), closed_before, departure)


def test_before_asking__all_is_well__goes_on():
    assert before_asking(WINNER, a_moment(), POLICY) == Redeem()


def test_before_asking__parameters_not_expired__waits_unless_they_are_closed():
    early = {"l1_block": BlockNumber(20_999_999)}
    waits = Wait(Why.PARAMETERS, "parameters have not expired")

    assert before_asking(WINNER, a_moment(**early), POLICY) == waits
    assert before_asking(WINNER, a_moment(closed_before=21_000_000, **early), POLICY) == waits
    assert before_asking(WINNER, a_moment(closed_before=21_000_001, **early), POLICY) == Redeem()


@pytest.mark.parametrize(
    ("current", "validity", "expected"),
    [
        (3500, 2, Redeem()),
        (3501, 2, Redeem()),
        (3502, 2, Lose("ticket is expired")),
        (3502, 3, Redeem()),
        (3501, 1, Lose("ticket is expired")),
    ],
)
def test_before_asking__rounds_pass__as_many_are_valid_as_the_chain_says(current, validity, expected):
    moment = a_moment(
        current_round=Round(current), last_initialized_round=Round(current), times=some_times(validity=validity)
    )
    assert before_asking(WINNER, moment, POLICY) == expected


def test_before_asking__round_not_initialized__waits():
    moment = a_moment(current_round=Round(3501))
    assert before_asking(WINNER, moment, POLICY) == Wait(Why.ROUND, "current round is not initialized")


@pytest.mark.parametrize(
    ("blocks_left", "price", "expected"),
    [
        (6000, 10, Redeem()),
        (6000, 11, DEAR),
        (601, 11, DEAR),
        (600, 11, Redeem()),
        (600, 100, Redeem()),
        (600, 101, DEAR),
    ],
)
def test_before_asking__last_moment_nears__the_ceiling_is_another(blocks_left, price, expected):
    moment = a_moment(l1_block=BlockNumber(END - blocks_left), gas_price=Wei(price))
    assert moment.blocks_left(WINNER) == blocks_left
    assert before_asking(WINNER, moment, POLICY) == expected


def test_before_asking__recipient_may_leave__is_urgent_and_has_till_the_round_ends_where_it_does():
    for kind, left in ((DepartureKind.LEAVING, 50), (DepartureKind.AT_RISK, END - 21_000_000)):
        departure = Departure(kind, Round(3500), BlockNumber(21_000_050), BlockNumber(21_000_025))
        moment = a_moment(departure=departure, gas_price=Wei(99))
        assert before_asking(WINNER, moment, POLICY) == Redeem()
        assert moment.blocks_left(WINNER) == left


def test_policy__as_declared__is_in_the_chains_units():
    duty = RedemptionDuty(max_gas_price="2 gwei", max_cost_percent=10, urgent_before_s=3600, collect_s=60)
    policy = RedemptionPolicy.of(duty, l1_block_s=12.0)

    assert (policy.max_gas_price, policy.urgent_before, policy.collect_blocks) == (2 * 10**9, 300, 5)
    assert (policy.cost_ceiling(1000, urgent=False), policy.cost_ceiling(1000, urgent=True)) == (100, 999)


def test_policy__short_rounds__half_of_one_is_urgent():
    assert POLICY.is_urgent(25, 50)
    assert not POLICY.is_urgent(26, 50)


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
RETRY = {
    "paused: redeem": Why.PAUSED,
    "redeem in uninitialised round": Why.ROUND,
    "redeem after withdrawRound": Why.SENDER_UNLOCKED,
    "sender without funds": Why.FUNDS,
    "recipient not registered": Why.INACTIVE,
}


def reason_of(case):
    return CHAIN_VECTORS["revertsByCase"][case].removeprefix("execution reverted: ")


@pytest.mark.parametrize("case", PERMANENT)
def test_verdict__contract_says_never__is_permanent(case):
    assert verdict(reason_of(case), WINNER, a_head()) is Verdict.PERMANENT


@pytest.mark.parametrize(("case", "why"), RETRY.items())
def test_verdict__contract_says_not_now__is_tried_again(case, why):
    assert verdict(reason_of(case), WINNER, a_head()) is Verdict.RETRY
    assert waits_for(reason_of(case)) == Wait(why, reason_of(case))


@pytest.mark.parametrize("reason", [reason_of("redeem used"), "ticket already used"])
def test_verdict__ticket_is_used__is_done(reason):
    assert verdict(reason, WINNER, a_head()) is Verdict.USED


@pytest.mark.parametrize(
    ("reason", "expected", "why"),
    [
        ("ticket sender is null address", Verdict.PERMANENT, None),
        ("ECDSA: invalid signature", Verdict.PERMANENT, None),
        ("ECDSA: invalid signature 'v' value", Verdict.PERMANENT, None),
        ("transcoder must be active", Verdict.RETRY, Why.INACTIVE),
        ("transcoder must be registered", Verdict.RETRY, Why.INACTIVE),
        ("Panic(0x11)", Verdict.RETRY, Why.RESERVE_SHARE),
        ("Panic(0x01)", Verdict.ALARM, Why.REFUSED),
        ("", Verdict.RETRY, Why.REFUSED),
        ("something new", Verdict.RETRY, Why.REFUSED),
    ],
)
def test_verdict__other_reasons__are_told_apart(reason, expected, why):
    assert verdict(reason, WINNER, a_head()) is expected
    if why is not None:
        assert waits_for(reason).why is why


@pytest.mark.parametrize(("last_round", "expected"), [(3500, Verdict.PERMANENT), (3499, Verdict.RETRY)])
def test_verdict__no_block_hash__depends_on_whether_the_round_is_to_come(last_round, expected):
    head = a_head(last_initialized_round=Round(last_round))

    assert verdict(reason_of("aux future round"), WINNER, head) is expected
