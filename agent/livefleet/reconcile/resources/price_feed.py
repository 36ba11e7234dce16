"""Whether a declared price feed's answers can be relied on."""

from collections.abc import Callable

from livefleet.chain import FeedAnswer, FeedUnusable, NodeError, PriceFeed, Reverted, wei_per_unit
from livefleet.kernel import Condition, Status
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["PriceFeedResource"]

_EVERY_S = 3_600.0
_MAX_DECIMALS = 36


class PriceFeedResource:
    """Looks and says; nothing is done about it."""

    name = "on-chain price-feed"

    def __init__(self, feed: PriceFeed, *, max_age_s: float, now: Callable[[], float]) -> None:
        self._feed = feed
        self._max_age_s = max_age_s
        self._now = now

    async def observe(self) -> FeedAnswer | None:
        """Its answer; None where there is no such feed."""
        try:
            return await self._feed.latest()
        except (Reverted, NodeError):
            return None

    def plan(self, observed: FeedAnswer | None) -> Plan:
        """Sign, pair, decimals and age."""
        return Plan((), (self._condition(observed),), Again(_EVERY_S))

    async def apply(self, action: Action) -> None:
        """There is nothing to do."""

    def _condition(self, answer: FeedAnswer | None) -> Condition:
        address = self._feed.address
        if answer is None:
            return _said(Status.FALSE, "NoFeed", f"there is no price feed at {address}; correct `on_chain.price_feed`")
        try:
            wei_per_unit(answer, "USD")
        except FeedUnusable as error:
            return _said(Status.FALSE, error.reason, f"{address}: {error}")
        if answer.decimals > _MAX_DECIMALS:
            return _said(Status.FALSE, "Decimals", f"{address}: {answer.decimals} decimals are not believable")
        age_s = self._now() - answer.updated_at
        if age_s > self._max_age_s:
            text = f"{address}: answered {age_s / 3600:.1f} h ago, {self._max_age_s / 3600:.1f} h are allowed"
            return _said(Status.FALSE, "Stale", text)
        return _said(
            Status.TRUE, "Sound", f"{address}: {answer.description}, answered {max(age_s, 0) / 3600:.1f} h ago"
        )


def _said(status: Status, reason: str, text: str) -> Condition:
    return Condition("PriceFeedSound", status, reason, text, gates_ready=False)
