import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain.rpc.budget import Budget
from livefleet.chain.rpc.score import EndpointState, Score
from livefleet.chain.rpc.tally import Tally

pytestmark = pytest.mark.unit


def test_state__fails_again_and_again__rests_longer_each_time_and_a_success_ends_it():
    score, now, rests = Score(), 0.0, []
    for _ in range(9):
        score.failed("refused", now)
        assert score.state(now) is EndpointState.RESTING
        rests.append(score.resting_until - now)
        now = score.resting_until
        assert score.state(now) is EndpointState.RECOVERING
    assert rests == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    score.answered(0.1, now)
    assert score.state(now) is EndpointState.HEALTHY


def test_failed__several_calls_at_once__count_as_one_failure():
    score = Score()
    for _ in range(5):
        score.failed("refused", 10.0)
    assert score.resting_until == 15.0


@pytest.mark.parametrize(("wish_s", "rest_s"), [(60.0, 60.0), (0.0, 1.0), (100_000.0, 900.0)])
def test_failed__endpoint_says_when_to_come_again__is_believed_within_bounds(wish_s, rest_s):
    score = Score()
    score.failed("HTTP 429", 0.0, wish_s)
    assert score.resting_until == rest_s


def test_grade__quick_ones_are_as_good__slow_and_unreliable_ones_are_not():
    def grade(latency_s, failures=0, now=0.0):
        score = Score()
        score.answered(latency_s, 0.0)
        for _ in range(failures):
            score.failed("refused", 0.0)
        return score.grade(now)

    assert Score().grade(0.0) == grade(0.01) == grade(0.19) == 0
    assert 0 < grade(0.3) < grade(0.7) < grade(3.0)
    assert grade(0.01, failures=1) == 0
    assert grade(0.01, failures=3) > 0
    assert grade(0.01, failures=3, now=600.0) == 0  # forgotten


def test_patience__follows_the_endpoints_own_latency_between_bounds():
    assert Score().patience_s() == 2.0
    assert [Score(latency_s=latency).patience_s() for latency in (0.001, 0.5, 5.0)] == [0.75, 2.0, 3.0]


def test_may_have__shown_unknown_or_denied():
    score = Score()
    score.saw(100)
    assert score.may_have(100, 0.0) == 0
    assert score.may_have(101, 0.0) == 1
    score.lacks(101, 0.0)
    assert score.may_have(101, 1.0) == 2
    assert score.may_have(101, 3.0) == 1
    assert score.may_have(100, 1.0) == 0


def test_budget__spent__fills_up_steadily():
    budget = Budget(10.0)
    assert budget.wait_s(0.0) == 0.0
    budget.take(10, 0.0)
    assert budget.wait_s(0.0) > 0
    assert budget.wait_s(0.2) == 0.0
    budget.take(60, 1.0)  # a batch overdraws it
    assert budget.wait_s(1.0) == pytest.approx(5.0)
    budget.take(10_000, 1.0)
    assert budget.wait_s(1.0) == 10.0  # nobody waits longer


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 100)), max_size=40), st.floats(0.5, 50))
def test_budget__whatever_is_taken__never_more_than_the_rate_allows(steps, per_second):
    budget, now, taken, last = Budget(per_second), 0.0, 0, 0
    for wait_s, requests in steps:
        now += wait_s
        if budget.wait_s(now) == 0.0:
            budget.take(requests, now)
            taken, last = taken + requests, requests
    assert taken - last <= per_second * now + max(per_second, 1.0) + 1e-6


def test_tally__last_hour__forgets_what_is_older():
    tally = Tally()
    tally.note("eth_call", 0.0)
    tally.note("eth_call", 30.0)
    tally.note("eth_blockNumber", 3000.0)
    assert tally.last_hour(3000.0) == {"eth_call": 2, "eth_blockNumber": 1}
    assert tally.last_hour(3661.0) == {"eth_blockNumber": 1}
    assert tally.last_hour(9000.0) == {}
    assert tally.total == 3
