from dataclasses import replace

import pytest

from livefleet.chain import RewardObserved, RewardStep, should_call_reward
from livefleet.chain.reward import RewardDuty, expected_reward
from livefleet.kernel import Address, Round
from tests.builders.chain import VECTORS

pytestmark = pytest.mark.unit

_DUE = RewardObserved(
    current_round=Round(24),
    last_initialized_round=Round(24),
    last_reward_round=Round(23),
    active=True,
    paused=False,
)


def _duty(*, initialize_rounds: bool = False) -> RewardDuty:
    # plan() is pure: it touches neither the chain nor the key
    return RewardDuty(None, None, Address("0x" + "11" * 20), initialize_rounds=initialize_rounds)  # type: ignore[arg-type]


def test_should_call_reward__due__yes():
    assert should_call_reward(_DUE)
    assert _duty().plan(_DUE).step is RewardStep.CALL_REWARD


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"paused": True}, "Paused"),
        ({"active": False}, "NotActive"),
        ({"last_initialized_round": Round(23)}, "RoundNotInitialized"),
        ({"last_reward_round": Round(24)}, "Called"),
    ],
)
def test_plan__nothing_to_call__says_why(change, reason):
    observed = replace(_DUE, **change)
    plan = _duty().plan(observed)
    assert not should_call_reward(observed)
    assert (plan.step, plan.reason) == (RewardStep.NOTHING, reason)


def test_plan__round_not_initialized_and_the_duty_may__initializes_it():
    plan = _duty(initialize_rounds=True).plan(replace(_DUE, last_initialized_round=Round(22)))
    assert (plan.step, plan.round) == (RewardStep.INITIALIZE_ROUND, 24)


def test_expected_reward__known_round__is_what_the_contract_minted():
    known = {name: int(value) for name, value in VECTORS["rewardMath"].items()}
    reward, treasury = expected_reward(
        mintable=known["currentMintableTokens"],
        stake=known["activeStake"],
        total_active_stake=known["totalActiveStake"],
        treasury_cut=known["treasuryRewardCutRate"],
    )
    assert (reward, treasury) == (known["Reward.amount"], known["TreasuryReward.amount"])
