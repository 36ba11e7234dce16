"""What an orchestrator's reward waits for where calling it would end its activity at once. Pure.

Whoever is evicted stays active until the round ends. A reward that puts it back into the pool makes it active from the
next round on instead, and nothing that it has won is paid in between. Source: BondingManager, every join of the pool.
"""

from livefleet.payments.decision import Why
from livefleet.payments.redemption_report import RedemptionReport

__all__ = ["redeemed_first"]

_NOT_SOON = frozenset({Why.COST, Why.FUNDS, Why.RESERVE_SHARE, Why.SENDER_UNLOCKED, Why.INACTIVE, Why.REFUSED})
"""What no patience of minutes ends."""


def redeemed_first(pending: int, last: RedemptionReport) -> str:
    """What is to be done before the reward, in words; empty where no ticket gains by waiting for it.

    `pending`: winning tickets of the store now, those in a transaction too. `last`: the last look at them; tickets
    that it did not see count as redeemable.
    """
    stuck = sum(count for why, count in last.why.items() if why in _NOT_SOON)
    redeemable = pending - stuck
    if redeemable <= 0:
        return ""
    return f"{redeemable} winning ticket(s) are being redeemed"
