"""What the protocol, governance and delegators did to the orchestrator."""

from collections.abc import Callable
from datetime import UTC, datetime

from livefleet.kernel import Condition, Status
from livefleet.ledger import News, NewsWatch
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["NewsResource"]

_SHOWN = 5


class NewsResource:
    """Reads the news once a round, and keeps grave ones on health for a day."""

    name = "chain-news"

    def __init__(
        self, watch: NewsWatch, safe_block: Callable[[], int], now: Callable[[], float], *, every_s: float
    ) -> None:
        self._watch = watch
        self._safe_block = safe_block
        self._now = now
        self._every_s = every_s
        self.news: News | None = None
        """As last read; for reading only."""

    async def observe(self) -> News:
        """What is new since the last look, behind what was."""
        self.news = await self._watch.read(self._safe_block(), self._now())
        return self.news

    def plan(self, observed: News) -> Plan:
        """Tell the latest items; false for a day after one that somebody has to act on."""
        alarms = observed.alarms(self._now())
        latest = "; ".join(
            f"{datetime.fromtimestamp(item.at, UTC):%Y-%m-%d %H:%M} {item.text}" for item in observed.items[-_SHOWN:]
        )
        if alarms:
            told = Condition(
                "ChainNews", Status.FALSE, "Alarm", f"{alarms[-1].text}; news: {latest}", gates_ready=False
            )
        else:
            reason = "News" if observed.items else "Quiet"
            told = Condition("ChainNews", Status.TRUE, reason, latest or "nothing happened", gates_ready=False)
        return Plan((), (told,), Again(self._every_s))

    async def apply(self, action: Action) -> None:
        """There is nothing to do."""
