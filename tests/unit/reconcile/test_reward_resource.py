from dataclasses import replace
from fractions import Fraction

import pytest

from livefleet.chain import FeeTooHigh, RewardObserved, RewardPlan, RewardPolicy, RewardStep, WrongChain
from livefleet.chain.reward_schedule import stage_of
from livefleet.kernel import LivefleetError, Round, Status, Transient
from livefleet.reconcile.resources import RewardResource

pytestmark = pytest.mark.unit

OWED = RewardObserved(
    current_round=Round(7), last_initialized_round=Round(7), last_reward_round=Round(6), active=True, paused=False
)
PLAN = RewardPlan(
    step=RewardStep.CALL_REWARD,
    round=Round(7),
    reason="CallingReward",
    message="calling reward in 7",
    again_after_s=3.0,
    status=Status.FALSE,
    stage=stage_of(RewardPolicy(alarm_after=Fraction(3, 4)), blocks_into=1, round_length=100),
)


class _Duty:
    """A duty that is told what to say."""

    def __init__(self, *, seen=OWED, plan=PLAN, outcome=None):
        self.seen, self.next_plan, self.outcome = seen, plan, outcome

    async def observe(self):
        return _told(self.seen)

    def plan(self, _observed):
        return self.next_plan

    async def apply(self, _plan):
        return _told(self.outcome)


def _told(what):
    if isinstance(what, LivefleetError):
        raise what
    return what


async def _turn(resource):
    plan = resource.plan(await resource.observe())
    for action in plan.actions:
        await resource.apply(action)
    return plan


@pytest.mark.parametrize("error", [Transient("away", retry_after_s=600.0), WrongChain("serves chain 5")])
async def test_observe__chain_cannot_be_read__is_unknown_and_looked_at_again_in_seconds(error):
    resource = RewardResource(_Duty(seen=error), every_s=30.0)
    plan = await _turn(resource)
    (condition,) = plan.conditions
    assert (condition.status, condition.reason) == (Status.UNKNOWN, "ChainNotSeen")
    assert str(error) in condition.message
    assert plan.again.after_s <= 5.0
    assert plan.actions == ()


async def test_observe__chain_goes_away_near_the_deadline__stays_an_alarm():
    late = replace(PLAN, reason="DeadlineNear", message="round 7 ends in 3 blocks")
    duty = _Duty(plan=late)
    resource = RewardResource(duty, every_s=30.0)
    await _turn(resource)
    duty.seen = Transient("away")
    (condition,) = (await _turn(resource)).conditions
    assert (condition.status, condition.reason) == (Status.FALSE, "DeadlineNear")
    assert "away" in condition.message
    assert "round 7 ends in 3 blocks" in condition.message


async def test_apply__fails_again_and_again__is_counted_once_a_cause_and_never_stops_the_loop():
    duty = _Duty(outcome=FeeTooHigh(gas_price=9, limit=5))
    resource = RewardResource(duty, every_s=30.0)
    for _ in range(3):
        assert (await _turn(resource)).again.after_s == 3.0
    assert (resource.calls, resource.failures) == (0, 1)
    duty.outcome = Transient("another cause")
    await _turn(resource)
    assert resource.failures == 2
    duty.outcome = object()  # mined
    await _turn(resource)
    assert (resource.calls, resource.failures) == (1, 2)


async def test_plan__missed_rounds__are_named_and_fresh_ones_are_an_alarm():
    old, fresh = replace(OWED, missed=(Round(2),)), replace(OWED, missed=tuple(Round(r) for r in range(7)))
    resource = RewardResource(_Duty(), every_s=30.0)
    complete = resource.plan(old).conditions[1]
    assert (complete.status, complete.reason) == (Status.TRUE, "RoundsMissed")
    assert "1 of the last rounds ended without a reward: 2;" in complete.message
    assert resource.plan(fresh).conditions[1].status is Status.FALSE
    assert resource.plan(replace(OWED, missed=())).conditions[1].reason == "NoneMissed"
    assert resource.plan(OWED).conditions[1].status is Status.UNKNOWN


async def test_tickets_first__held_once__until_the_reward_is_called_or_the_departure_is_over():
    duty = _Duty(plan=replace(PLAN, step=RewardStep.NOTHING, reason="RedeemingFirst", status=Status.UNKNOWN))
    resource = RewardResource(duty, every_s=30.0)
    for change, first in (
        ({}, False),
        ({"is_leaving": True}, False),
        ({"is_leaving": True, "held_for": "2 tickets"}, True),
        ({"is_leaving": True}, True),  # all redeemed, and the call is under way: nothing is to come meanwhile
        ({"is_leaving": True, "last_reward_round": Round(7)}, False),
        ({"is_leaving": True, "held_for": "2 tickets"}, True),
        ({}, False),
    ):
        duty.seen = replace(OWED, **change)
        await _turn(resource)
        assert resource.tickets_first is first
