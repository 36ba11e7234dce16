import random
from dataclasses import replace

import pytest

from livefleet.chain import RewardDuty, RewardObserved, RewardPolicy, RewardStep, expected_reward, should_call_reward
from livefleet.chain.pool import PoolMember
from livefleet.chain.reward_view import RewardHints, joins_pool
from livefleet.kernel import ZERO_ADDRESS, BlockNumber, Round, Status
from tests.builders.chain import VECTORS
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.unit

ORCHESTRATOR, CALLER, BONDING = (dev_signer(index).address for index in (1, 5, 6))
_DUE = RewardObserved(
    current_round=Round(24),
    last_initialized_round=Round(24),
    last_reward_round=Round(23),
    active=True,
    paused=False,
    l1_block=BlockNumber(1_010),
    round_start_block=BlockNumber(1_000),
    round_length=1_000,
)


class _Names:
    """What `plan` asks of the client and of transactions: addresses. It is pure otherwise."""

    def __init__(self, address):
        self.address = address
        self.bonding = self


def _duty(*, key=ORCHESTRATOR, hold=lambda: "", **policy) -> RewardDuty:
    settings = {"policy": RewardPolicy(**policy), "hold": hold, "rng": random.Random(1)}
    return RewardDuty(_Names(BONDING), _Names(key), ORCHESTRATOR, **settings)


def _at(share, **change) -> RewardObserved:
    return replace(_DUE, l1_block=BlockNumber(1_000 + int(share * 1_000)), **change)


def test_should_call_reward__due__yes():
    assert should_call_reward(_DUE)
    plan = _duty().plan(_DUE)
    assert (plan.step, plan.reason, plan.status) == (RewardStep.CALL_REWARD, "CallingReward", Status.FALSE)


@pytest.mark.parametrize(
    ("change", "reason", "status"),
    [
        ({"paused": True}, "Paused", Status.UNKNOWN),
        ({"active": False}, "NotActive", Status.TRUE),
        ({"last_initialized_round": Round(23)}, "RoundNotInitialized", Status.UNKNOWN),
        ({"last_reward_round": Round(24)}, "Called", Status.TRUE),
    ],
)
def test_plan__nothing_to_call__says_why(change, reason, status):
    observed = replace(_DUE, **change)
    plan = _duty().plan(observed)
    assert not should_call_reward(observed)
    assert (plan.step, plan.reason, plan.status) == (RewardStep.NOTHING, reason, status)


def test_plan__key_that_is_not_the_set_reward_caller__says_what_is_missing_and_sends_nothing():
    for caller, has in ((ZERO_ADDRESS, "nobody"), (BONDING, BONDING)):
        plan = _duty(key=CALLER).plan(replace(_DUE, reward_caller=caller))
        assert (plan.step, plan.reason, plan.status) == (RewardStep.NOTHING, "RewardCallerMissing", Status.FALSE)
        assert f"{ORCHESTRATOR} has set {has} as its reward caller, and this node's key is {CALLER}" in plan.message
        assert f"setRewardCaller({CALLER}) to {BONDING}" in plan.message
    assert _duty(key=CALLER).plan(replace(_DUE, reward_caller=CALLER)).step is RewardStep.CALL_REWARD


def test_plan__contract_older_than_reward_callers__only_the_orchestrators_own_key_calls():
    observed = replace(_DUE, knows_reward_callers=False)
    plan = _duty(key=CALLER).plan(observed)
    assert (plan.step, plan.reason) == (RewardStep.NOTHING, "RewardCallersUnknown")
    assert "older than LIP-118" in plan.message
    assert _duty().plan(observed).step is RewardStep.CALL_REWARD


def test_plan__own_key_beside_a_reward_caller__leaves_it_a_while_then_calls():
    duty = _duty(stagger_s=60.0)
    plan = duty.plan(replace(_DUE, reward_caller=CALLER, waited_s=20.0))
    assert (plan.step, plan.reason) == (RewardStep.NOTHING, "LeftToRewardCaller")
    assert "40 s more" in plan.message
    assert duty.plan(replace(_DUE, reward_caller=CALLER, waited_s=60.0)).step is RewardStep.CALL_REWARD
    assert duty.plan(replace(_DUE, reward_caller=ORCHESTRATOR)).step is RewardStep.CALL_REWARD
    busy = {"reward_caller": CALLER, "reward_caller_is_busy": True, "waited_s": 1e6}
    assert "has a transaction under way" in duty.plan(_at(0.4, **busy)).message
    assert duty.plan(_at(0.5, **busy)).step is RewardStep.CALL_REWARD


def test_plan__another_agent_holds_the_duty__waits_until_the_alarm():
    plan = _duty().plan(_at(0.2, lease_of="fleet/other"))
    assert (plan.step, plan.reason) == (RewardStep.NOTHING, "AnotherHoldsTheDuty")
    assert "fleet/other" in plan.message
    assert _duty().plan(_at(0.75, lease_of="fleet/other")).step is RewardStep.CALL_REWARD


def test_plan__key_busy_elsewhere__stands_by():
    plan = _duty().plan(replace(_DUE, standing_by="another process sends"))
    assert (plan.step, plan.reason, plan.message) == (RewardStep.NOTHING, "StandingBy", "another process sends")


@pytest.mark.parametrize(
    "change",
    [{}, {"paused": True}, {"last_initialized_round": Round(23)}, {"standing_by": "away"}],
    ids=["owed", "paused", "not initialised", "standing by"],
)
def test_plan__late_without_a_reward__raises_the_alarm_with_what_is_left_and_why(change):
    assert _duty().plan(_at(0.749, **change)).reason != "DeadlineNear"
    plan = _duty().plan(_at(0.75, **change))
    assert (plan.reason, plan.status) == ("DeadlineNear", Status.FALSE)
    assert "round 24 ends in 250 blocks (about 50 min)" in plan.message


def test_plan__late_after_failures__still_tries_and_says_what_went_wrong():
    plan = _duty().plan(_at(0.99, failure="gas costs 7 wei, above the limit of 5"))
    assert plan.step is RewardStep.CALL_REWARD
    assert "gas costs 7 wei, above the limit of 5; round 24 ends in 10 blocks (about 2 min)" in plan.message


def test_plan__called_and_late__is_fine():
    assert _duty().plan(_at(0.99, last_reward_round=Round(24))).status is Status.TRUE


def test_plan__round_not_initialized_long_after_its_begin__is_an_alarm():
    fresh, old = (_duty().plan(_at(share, last_initialized_round=Round(23))) for share in (0.01, 0.02))
    assert (fresh.reason, fresh.status) == ("RoundNotInitialized", Status.UNKNOWN)
    assert (old.reason, old.status) == ("RoundNotInitialized", Status.FALSE)
    assert "20 blocks after its begin, round 24 is not initialised" in old.message
    assert "initialize_round" in old.message


def test_plan__round_not_initialized_and_the_duty_may__initializes_it_after_a_random_while():
    duty = _duty(initialize_rounds=True, initialize_within_s=30.0)
    observed = replace(_DUE, last_initialized_round=Round(22))
    early = duty.plan(observed)
    assert (early.step, early.reason) == (RewardStep.NOTHING, "RoundNotInitialized")
    assert 0 < early.again_after_s < 30
    later = duty.plan(replace(observed, waited_s=early.again_after_s))
    assert (later.step, later.round) == (RewardStep.INITIALIZE_ROUND, 24)


def test_expected_reward__known_round__is_what_the_contract_minted():
    known = {name: int(value) for name, value in VECTORS["rewardMath"].items()}
    reward, treasury = expected_reward(
        mintable=known["currentMintableTokens"],
        stake=known["activeStake"],
        total_active_stake=known["totalActiveStake"],
        treasury_cut=known["treasuryRewardCutRate"],
    )
    assert (reward, treasury) == (known["Reward.amount"], known["TreasuryReward.amount"])


HELD = {"is_leaving": True, "held_for": "3 winning ticket(s) are being redeemed"}


def test_plan__evicted_and_the_reward_would_end_activity__tickets_go_first():
    plan = _duty().plan(_at(0.2, **HELD))
    assert (plan.step, plan.reason, plan.status) == (RewardStep.NOTHING, "RedeemingFirst", Status.UNKNOWN)
    assert "3 winning ticket(s) are being redeemed first" in plan.message
    assert _duty().plan(_at(0.2, is_leaving=True)).step is RewardStep.CALL_REWARD


def test_plan__tickets_go_first_until_the_alarm__it_is_told_what_is_left():
    plan = _duty().plan(_at(0.8, **HELD))
    assert (plan.step, plan.reason, plan.status) == (RewardStep.NOTHING, "DeadlineNear", Status.FALSE)
    assert "being redeemed first; round 24 ends in 200 blocks" in plan.message


class _Pool:
    """A reader that knows what the reward would do, and counts how often it was asked."""

    def __init__(self, *, joins):
        self.joins, self.asked = joins, 0

    async def hints(self, _round):
        self.asked += 1
        return RewardHints(ZERO_ADDRESS, ZERO_ADDRESS, 1, self.joins)


@pytest.mark.parametrize(
    ("seen", "joins", "first", "held", "asked"),
    [
        (_at(0.2, is_leaving=True), True, "tickets", "tickets", 1),
        (_at(0.2, is_leaving=True), False, "tickets", "", 1),  # it stays active till the end whatever it does
        (_at(0.2, is_leaving=True), True, "", "", 0),
        (_at(0.2), True, "tickets", "", 0),
        (_at(0.9, is_leaving=True), True, "tickets", "", 0),  # the last blocks are the reward's
        (_at(0.899, is_leaving=True), True, "tickets", "tickets", 1),
    ],
)
async def test_held_for__only_where_waiting_saves_something_and_the_reward_is_in_no_danger(
    seen, joins, first, held, asked
):
    duty = _duty(hold=lambda: first)
    duty._reader = reader = _Pool(joins=joins)
    assert await duty._held_for(seen) == held
    assert reader.asked == asked


A, B, C = (dev_signer(index).address for index in (1, 2, 3))


@pytest.mark.parametrize(
    ("pool", "stake", "size", "joins"),
    [
        ([(B, 100), (C, 50)], 51, 2, True),
        ([(B, 100), (C, 50)], 50, 2, False),  # strictly more
        ([(B, 100), (C, 50)], 1, 3, True),  # a place is free
        ([(B, 100), (A, 50)], 60, 2, False),  # it is there already
        ([], 1, 1, True),
    ],
)
def test_joins_pool__as_the_contract_does(pool, stake, size, joins):
    assert joins_pool([PoolMember(*member) for member in pool], A, stake, size) is joins
