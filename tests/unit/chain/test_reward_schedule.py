from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain import RewardPolicy, SpendLimit
from livefleet.chain.reward_schedule import may_wait, priced_limit, stage_of
from livefleet.kernel import Wei

pytestmark = pytest.mark.unit

CHEAP, URGENT = SpendLimit(Wei(10), Wei(1_000)), SpendLimit(Wei(50), Wei(9_000))
POLICY = RewardPolicy(limit=CHEAP, urgent_limit=URGENT)
LENGTH = 6377
_SHARES = st.fractions(min_value=0, max_value=1)


def a_stage(blocks, *, policy=POLICY, length=LENGTH):
    return stage_of(policy, blocks_into=blocks, round_length=length)


def test_stage__first_block_of_a_day__is_patient():
    stage = a_stage(0)
    assert (stage.limit, stage.is_urgent, stage.is_late) == (CHEAP, False, False)
    assert (stage.left_s, stage.replace_after_s, stage.retry_s) == (LENGTH * 12, 120.0, 15.0)


def test_stage__half_and_three_quarters__is_urgent_then_late():
    assert not a_stage(3188).is_urgent
    assert a_stage(3189).limit == URGENT
    assert not a_stage(4782).is_late
    assert a_stage(4783).is_late


def test_stage__last_block__replaces_by_the_block_and_tries_at_once():
    stage = a_stage(LENGTH - 1)
    assert (stage.left_s, stage.replace_after_s, stage.retry_s) == (12.0, 12.0, 0.5)


def test_stage__before_the_urgent_half__lasts_no_longer_than_to_it():
    assert a_stage(3188).lasts_s == pytest.approx(6.0)


def test_stage__length_not_known__is_patient():
    stage = a_stage(1000, length=0)
    assert (stage.is_urgent, stage.is_late, stage.lasts_s) == (False, False, 30.0)


@given(
    length=st.integers(min_value=1, max_value=10_000),
    blocks=st.lists(st.integers(min_value=0, max_value=10_000), min_size=2, max_size=2).map(sorted),
    urgent=_SHARES,
    alarm=_SHARES,
    block_s=st.floats(min_value=0.05, max_value=60),
)
def test_stage__as_a_round_goes_by__only_gets_more_pressing(length, blocks, urgent, alarm, block_s):
    policy = RewardPolicy(limit=CHEAP, urgent_limit=URGENT, urgent_after=urgent, alarm_after=alarm, l1_block_s=block_s)
    early, late = (a_stage(block, policy=policy, length=length) for block in blocks)
    assert early.limit.max_gas_price <= late.limit.max_gas_price
    assert early.limit.max_cost <= late.limit.max_cost
    assert early.replace_after_s >= late.replace_after_s
    assert early.retry_s >= late.retry_s
    assert early.left_s >= late.left_s >= 0
    assert (late.is_urgent, late.is_late) >= (early.is_urgent, early.is_late)
    assert min(early.lasts_s, late.lasts_s, early.retry_s, late.retry_s, early.replace_after_s) > 0


@given(
    reward=st.integers(min_value=0, max_value=10**24),
    price=st.integers(min_value=1, max_value=10**19),
    share=st.fractions(min_value=Fraction(1, 100), max_value=1),
    max_cost=st.integers(min_value=0, max_value=10**18),
)
def test_priced_limit__any_reward__costs_no_more_than_its_share_and_no_more_than_declared(
    reward, price, share, max_cost
):
    policy = RewardPolicy(max_share=share, lpt_price=Wei(price))
    limit = priced_limit(policy, SpendLimit(Wei(7), Wei(max_cost)), reward)
    assert limit.max_gas_price == 7
    assert limit.max_cost > 0  # 0 would be no limit at all
    assert limit.max_cost <= max(Fraction(reward * price, 10**18) * share, 1)
    assert not max_cost or limit.max_cost <= max_cost


def test_priced_limit__no_price_declared__is_the_limit_itself():
    assert priced_limit(RewardPolicy(), CHEAP, 10**21) == CHEAP


@pytest.mark.parametrize(
    ("left", "length", "may"),
    [(101, LENGTH, True), (100, LENGTH, False), (51, 200, True), (50, 200, False), (3, 10, True), (2, 10, False)],
)
def test_may_wait__until_twenty_minutes_or_a_quarter_of_a_short_round_are_left(left, length, may):
    assert may_wait(left, length) is may
    assert a_stage(length - left, length=length).may_wait is may
