"""How hard a reward is tried for as its round goes by. Pure.

A round's reward may be called from its initialisation to its last block. Early on there is time to wait for cheap gas;
later the ceiling is raised, replacements come quicker, and at last somebody is told.
"""

from dataclasses import dataclass
from fractions import Fraction

from livefleet.chain.models import SpendLimit
from livefleet.kernel import Wei

__all__ = ["RewardPolicy", "Stage", "may_wait", "priced_limit", "stage_of"]

_NO_LIMIT = SpendLimit()
_REPLACE_S = 120.0  # at most between two offers
_RETRY_S = 15.0  # at most between two tries after a failure
_OWN_BLOCKS = 100  # L1 blocks at a round's end, twenty minutes, in which what the round needs waits for nothing


@dataclass(frozen=True, slots=True)
class RewardPolicy:
    """What the reward of a round may cost, and when."""

    limit: SpendLimit = _NO_LIMIT
    urgent_limit: SpendLimit = _NO_LIMIT
    urgent_after: Fraction = Fraction(1, 2)  # of the round, from when on the urgent limit counts
    alarm_after: Fraction = Fraction(3, 4)  # of the round, from when on a missing reward is an alarm
    uninitialized_alarm_after: Fraction = Fraction(1, 50)  # of the round, likewise for its initialisation
    max_share: Fraction | None = None  # of what the reward is worth; needs `lpt_price`
    lpt_price: Wei | None = None  # wei for one LPT (10^18 LPTU)
    l1_block_s: float = 12.0  # seconds that an L1 block takes
    check_every_s: float = 30.0  # between two looks while a reward is owed, at most
    stagger_s: float = 60.0  # that the orchestrator's own key leaves to its reward caller, at most
    initialize_rounds: bool = False
    initialize_within_s: float = 30.0  # of the round's begin, at a random moment
    look_back: int = 30  # rounds before this one that are searched for missed rewards


@dataclass(frozen=True, slots=True)
class Stage:
    """What holds at one moment of a round."""

    limit: SpendLimit
    is_urgent: bool
    is_late: bool  # the alarm is due
    left_s: float  # until the round ends
    replace_after_s: float
    retry_s: float  # until the next try after a failure
    lasts_s: float  # until another look, while a transaction is waited for
    stagger_s: float  # that one key leaves to another
    may_wait: bool = False  # there is time for something else to go first


def stage_of(policy: RewardPolicy, *, blocks_into: int, round_length: int) -> Stage:
    """The stage `blocks_into` L1 blocks after the round's first. A length of 0 means that it is not known."""
    if not round_length:
        return Stage(
            limit=policy.limit,
            is_urgent=False,
            is_late=False,
            left_s=0.0,
            replace_after_s=_REPLACE_S,
            retry_s=_RETRY_S,
            lasts_s=policy.check_every_s,
            stagger_s=policy.stagger_s,
        )
    share = Fraction(max(blocks_into, 0), round_length)
    left_s = max(round_length - blocks_into, 0) * policy.l1_block_s
    is_urgent = share >= policy.urgent_after
    to_urgent_s = float((policy.urgent_after - share) * round_length) * policy.l1_block_s
    step_s = min(policy.check_every_s, left_s / 20)
    return Stage(
        limit=policy.urgent_limit if is_urgent else policy.limit,
        is_urgent=is_urgent,
        is_late=share >= policy.alarm_after,
        left_s=left_s,
        replace_after_s=_between(policy.l1_block_s, left_s / 40, _REPLACE_S),
        retry_s=_between(0.5, left_s / 200, _RETRY_S),
        lasts_s=max(0.5, step_s if is_urgent else min(step_s, to_urgent_s)),
        stagger_s=min(policy.stagger_s, round_length * policy.l1_block_s / 5),
        may_wait=may_wait(round_length - blocks_into, round_length),
    )


def may_wait(blocks_left: int, round_length: int) -> bool:
    """Whether there is time, in L1 blocks, for something else to go before a call that this round needs."""
    return blocks_left > min(_OWN_BLOCKS, round_length // 4)


def priced_limit(policy: RewardPolicy, limit: SpendLimit, reward: int) -> SpendLimit:
    """`limit`, and no more than the declared share of what `reward` LPTU are worth."""
    if policy.max_share is None or policy.lpt_price is None:
        return limit
    worth = Fraction(reward * policy.lpt_price, 10**18)
    most = max(Wei(int(worth * policy.max_share)), Wei(1))  # 0 would mean no limit
    return SpendLimit(limit.max_gas_price, min(most, limit.max_cost) if limit.max_cost else most)


def _between(least: float, wanted: float, most: float) -> float:
    return min(max(min(least, most), wanted), most)
