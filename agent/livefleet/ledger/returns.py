"""What a staker may expect to earn in a year: the Livepeer Explorer's estimate, and the same for the operator itself.

Source: livepeer/explorer `lib/roi.ts` (calculateROI), as of commit 06aaa5cc. In words: inflation goes on as it is now,
less the treasury's part, and compounds once a round. What it mints over the time is shared by stake, as often as the
orchestrator calls reward; delegators get what its reward cut leaves. Fees of the last ninety days go on, delegators get
the fee share of them, and they are turned into LPT at today's price. Both are told in parts of the stake.

Exact fractions where the Explorer uses floating point: the two agree to about twelve digits. Pure.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

__all__ = ["Horizon", "InflationTrend", "OperatorYield", "Yield", "YieldInputs", "delegator_yield", "operator_yield"]

_MONTH_S = 2_628_000
_YEAR_DAYS = 365


class InflationTrend(StrEnum):
    """Where inflation goes from here, a step a round."""

    NONE = "none"
    POSITIVE = "positive"
    NEGATIVE = "negative"


class Horizon(StrEnum):
    """How far is looked ahead."""

    HALF_YEAR = "half-year"
    ONE_YEAR = "one-year"
    TWO_YEARS = "two-years"
    THREE_YEARS = "three-years"
    FOUR_YEARS = "four-years"

    @property
    def months(self) -> int:
        """Its length."""
        return {"half-year": 6, "one-year": 12, "two-years": 24, "three-years": 36, "four-years": 48}[self.value]


@dataclass(frozen=True, slots=True)
class YieldInputs:
    """All that goes into it. LPT and ETH are whole coins, shares are parts of 1."""

    principle: Fraction  # LPT that a delegator would stake
    total_stake: Fraction  # LPT staked with the orchestrator now
    fees_90_days: Fraction  # ETH
    fee_share: Fraction  # of fees, to delegators
    lpt_price_eth: Fraction | None  # ETH for one LPT; None: fees are not turned into LPT
    inflation: Fraction  # of the supply, a round
    inflation_change: Fraction  # a round
    total_supply: Fraction  # LPT
    total_active_stake: Fraction  # LPT
    round_length: int  # L1 blocks
    reward_call_ratio: Fraction  # of rounds, those with a reward call
    reward_cut: Fraction  # of rewards, kept by the orchestrator
    treasury_cut: Fraction  # of rewards, to the treasury
    block_s: Fraction = Fraction(12)  # an L1 block


@dataclass(frozen=True, slots=True)
class Yield:
    """A delegator's expectation over the horizon."""

    rewards: Fraction  # LPT
    fees: Fraction  # ETH
    fees_lpt: Fraction | None  # the same in LPT
    total_rewards: Fraction  # LPT, of the orchestrator and all its delegators
    total_fees: Fraction  # ETH, likewise
    rounds: int
    principle: Fraction

    @property
    def rewards_rate(self) -> Fraction:
        """Rewards in parts of the stake."""
        return self.rewards / self.principle if self.principle else Fraction(0)

    @property
    def fees_rate(self) -> Fraction | None:
        """Fees in parts of the stake; None without a price of LPT."""
        if self.fees_lpt is None:
            return None
        return self.fees_lpt / self.principle if self.principle else Fraction(0)


@dataclass(frozen=True, slots=True)
class OperatorYield:
    """The operator's own expectation over the same time, on its own stake."""

    rewards: Fraction  # LPT: the cut, and what own stake earns
    fees: Fraction  # ETH: likewise
    gas: Fraction  # ETH spent, as in the last ninety days
    costs: Fraction  # ETH, as declared: power, bandwidth, machines
    own_stake: Fraction  # LPT
    lpt_price_eth: Fraction | None

    @property
    def rate(self) -> Fraction | None:
        """All of it less gas and costs, in parts of the own stake; None without a price or without stake."""
        if self.lpt_price_eth is None or not self.own_stake:
            return None
        return (self.rewards + (self.fees - self.gas - self.costs) / self.lpt_price_eth) / self.own_stake


def delegator_yield(
    inputs: YieldInputs, horizon: Horizon = Horizon.ONE_YEAR, trend: InflationTrend = InflationTrend.NONE
) -> Yield:
    """The Explorer's estimate for a new delegator of `principle` LPT, whose stake comes on top of the present one."""
    staked = inputs.principle + inputs.total_stake
    rounds = _rounds(inputs, horizon)
    total_rewards = Fraction(0)
    if inputs.reward_call_ratio > 0:
        minted = inputs.total_supply * _inflation(inputs, rounds, trend)
        total_rewards = minted / inputs.total_active_stake * staked * inputs.reward_call_ratio
    total_fees = inputs.fees_90_days / 90 * _YEAR_DAYS * Fraction(horizon.months, 12)
    own = inputs.principle / staked if staked else Fraction(0)
    fees = total_fees * inputs.fee_share * own
    return Yield(
        rewards=total_rewards * (1 - inputs.reward_cut) * own,
        fees=fees,
        fees_lpt=None if inputs.lpt_price_eth is None else fees / inputs.lpt_price_eth,
        total_rewards=total_rewards,
        total_fees=total_fees,
        rounds=rounds,
        principle=inputs.principle,
    )


def operator_yield(
    inputs: YieldInputs,
    *,
    own_stake: Fraction,
    gas_90_days: Fraction,
    costs_a_month: Fraction,
    horizon: Horizon = Horizon.ONE_YEAR,
    trend: InflationTrend = InflationTrend.NONE,
) -> OperatorYield:
    """The same totals without a new delegator, shared from the operator's side: cuts first, then by own stake."""
    expected = delegator_yield(replace(inputs, principle=Fraction(0)), horizon, trend)
    own = own_stake / inputs.total_stake if inputs.total_stake else Fraction(0)
    months = Fraction(horizon.months)
    return OperatorYield(
        rewards=expected.total_rewards * (inputs.reward_cut + (1 - inputs.reward_cut) * own),
        fees=expected.total_fees * ((1 - inputs.fee_share) + inputs.fee_share * own),
        gas=gas_90_days / 90 * _YEAR_DAYS * months / 12,
        costs=costs_a_month * months,
        own_stake=own_stake,
        lpt_price_eth=inputs.lpt_price_eth,
    )


def _rounds(inputs: YieldInputs, horizon: Horizon) -> int:
    """Rounds in the horizon, halves rounded up."""
    exact = Fraction(horizon.months * _MONTH_S) / (inputs.round_length * inputs.block_s)
    return int(exact + Fraction(1, 2))


def _inflation(inputs: YieldInputs, rounds: int, trend: InflationTrend) -> Fraction:
    """Of the supply, over all rounds together; never below nothing."""
    rate = inputs.inflation * (1 - inputs.treasury_cut)
    if trend is InflationTrend.NONE:
        return max((1 + rate) ** rounds - 1, Fraction(0))
    step = inputs.inflation_change if trend is InflationTrend.POSITIVE else -inputs.inflation_change
    grown = Fraction(1)
    for index in range(rounds):
        grown *= 1 + rate + step * index
    return max(grown - 1, Fraction(0))
