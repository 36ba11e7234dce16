"""The Explorer's own answers, and the operator's side of the same totals."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from livefleet.ledger.returns import Horizon, InflationTrend, YieldInputs, delegator_yield, operator_yield

pytestmark = pytest.mark.unit

KNOWN = json.loads((Path(__file__).parents[2] / "data" / "explorer-yield.json").read_text())["cases"]


def _inputs(given) -> YieldInputs:
    fees, rewards = given["feeParams"], given["rewardParams"]

    def exact(value):
        return Fraction(str(value))

    return YieldInputs(
        principle=exact(given["inputs"]["principle"]),
        total_stake=exact(given["orchestratorParams"]["totalStake"]),
        fees_90_days=exact(fees["ninetyDayVolumeETH"]),
        fee_share=exact(fees["feeShare"]),
        lpt_price_eth=exact(fees["lptPriceEth"]),
        inflation=exact(rewards["inflation"]),
        inflation_change=exact(rewards["inflationChangePerRound"]),
        total_supply=exact(rewards["totalSupply"]),
        total_active_stake=exact(rewards["totalActiveStake"]),
        round_length=rewards["roundLength"],
        reward_call_ratio=exact(rewards["rewardCallRatio"]),
        reward_cut=exact(rewards["rewardCut"]),
        treasury_cut=exact(rewards["treasuryRewardCut"]),
    )


@pytest.mark.parametrize("case", KNOWN, ids=range(len(KNOWN)))
def test_delegator_yield__known_inputs__is_what_the_explorer_says(case):
    asked, answer = case["given"]["inputs"], case["answer"]
    found = delegator_yield(
        _inputs(case["given"]),
        Horizon(asked.get("timeHorizon", "one-year")),
        InflationTrend(asked.get("inflationChange", "none")),
    )
    assert found.rounds == answer["params"]["roundsCount"]
    assert found.fees_rate is not None
    assert found.fees_lpt is not None
    for ours, theirs in (
        (found.rewards, answer["delegator"]["rewards"]),
        (found.fees, answer["delegator"]["fees"]),
        (found.fees_lpt, answer["delegator"]["feesLpt"]),
        (found.rewards_rate, answer["delegatorPercent"]["rewards"]),
        (found.fees_rate, answer["delegatorPercent"]["fees"]),
        (found.total_rewards, answer["total"]["rewards"]),
        (found.total_fees, answer["total"]["fees"]),
    ):
        assert float(ours) == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_operator_yield__alone_without_delegators__has_everything():
    inputs = _inputs(KNOWN[0]["given"])
    found = operator_yield(
        inputs, own_stake=inputs.total_stake, gas_90_days=Fraction(9, 10), costs_a_month=Fraction(1, 100)
    )
    expected = delegator_yield(replace(inputs, principle=Fraction(0)))
    assert found.rewards == expected.total_rewards
    assert found.fees == expected.total_fees
    assert found.gas == Fraction(365, 100)
    assert found.costs == Fraction(12, 100)


def test_operator_yield__half_of_the_stake__gets_the_cut_and_half_of_the_rest():
    inputs = _inputs(KNOWN[0]["given"])
    found = operator_yield(inputs, own_stake=inputs.total_stake / 2, gas_90_days=Fraction(0), costs_a_month=Fraction(0))
    whole = operator_yield(inputs, own_stake=inputs.total_stake, gas_90_days=Fraction(0), costs_a_month=Fraction(0))
    assert found.rewards == whole.rewards * (Fraction(15, 100) + Fraction(85, 200))
    assert found.fees == whole.fees * (Fraction(70, 100) + Fraction(30, 200))


def test_yield__no_price_of_lpt__tells_no_rate_for_fees():
    inputs = _inputs(KNOWN[0]["given"])
    inputs = replace(inputs, lpt_price_eth=None)
    assert delegator_yield(inputs).fees_rate is None
    assert (
        operator_yield(inputs, own_stake=Fraction(1), gas_90_days=Fraction(0), costs_a_month=Fraction(0)).rate is None
    )
