"""Keeps prices current: the declared ones, at the rate of now, in the hands of whoever quotes.

It looks at the feeds when the chain moved, at most once in `poll_s`, and only while some price is in US dollars.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from livefleet.chain import FeedAnswer, FeedUnusable, wei_per_unit
from livefleet.kernel import Address, BadInput, Clock, Condition, LivefleetError, Status
from livefleet.payments.errors import NoRate
from livefleet.payments.price_last_good import load_rate, save_rate
from livefleet.payments.price_rate import Fault, Rate, RateLimits, Verdict, judge
from livefleet.payments.pricing import PriceList
from livefleet.spec import NodeSpec, needs_rate

__all__ = ["PRICE_FEED_FRESH", "FeedReader", "PriceKeeper", "rate_condition"]

log = logging.getLogger(__name__)

PRICE_FEED_FRESH: Final = "PriceFeedFresh"

_ASK_FOR_S: Final = 20.0


class FeedReader(Protocol):
    """A price feed."""

    address: Address

    async def latest(self) -> FeedAnswer:
        """Its newest answer, unchecked."""
        ...


class PriceKeeper:
    """The node's prices in wei. One event loop's property.

    `take` is called with the new list whenever it changes. `path` is where the last believed rate is kept.
    """

    def __init__(self, spec: NodeSpec, feeds: Sequence[FeedReader], path: Path, *, clock: Clock) -> None:
        self._spec = spec
        self._feeds = feeds
        self._path = path
        self._clock = clock
        settings = spec.prices.feed
        self._limits = RateLimits.of(settings)
        self._poll_s = settings.poll_s if settings else 60.0
        self._verdict = Verdict(self._still_sane(load_rate(path)))
        self._looked_at: float | None = None
        self._take: Callable[[PriceList], None] = _nobody

    @property
    def rate(self) -> Rate | None:
        """The rate in use; None before the first one."""
        return self._verdict.rate

    def prices(self) -> PriceList:
        """What is declared, in wei now. Raises NoRate."""
        if self.rate is None and needs_rate(self._spec):
            raise NoRate(self._verdict.fault.message if self._verdict.fault else "")
        return PriceList.of(self._spec, None if self.rate is None else self.rate.wei_per_usd)

    def subscribe(self, take: Callable[[PriceList], None]) -> None:
        """Hand every later change to `take`, in place of whoever had it before."""
        self._take = take

    def declare(self, spec: NodeSpec) -> None:
        """Take over the prices of `spec`: at once, or when a feed has answered where that is still needed.

        Raises BadInput, and nothing has changed, where a price is in US dollars and there is no feed.
        """
        self.prepare(spec)()

    def prepare(self, spec: NodeSpec) -> Callable[[], None]:
        """What `declare` does once it has checked that it can. Raises BadInput."""
        if needs_rate(spec) and not self._feeds:
            raise BadInput("a price in USD needs a price feed: give `prices.feed.address` and restart")

        def take() -> None:
            self._spec = spec
            if self.rate is not None or not needs_rate(spec):
                self._take(self.prices())

        return take

    async def run(self, chain_moved: Callable[[], Awaitable[object]]) -> None:
        """Look again whenever the chain moved, but not more often than declared; until cancelled."""
        while True:
            await chain_moved()
            if self._is_due():
                await self.look()

    async def look(self) -> None:
        """Ask the feeds now, if some price depends on them."""
        if not needs_rate(self._spec):
            return
        self._looked_at = self._clock.monotonic()
        before = self._verdict
        answers = [await self._ask(feed) for feed in self._feeds]
        self._verdict = judge(answers, before, now=self._clock.now(), limits=self._limits)
        after = self._verdict
        if after.fault is not None and after.fault != before.fault:
            log.warning("price.feed_fault", extra={"reason": after.fault.reason, "text": after.fault.message})
        if after.rate is not None and after.rate != before.rate:
            await self._use(after.rate)

    def condition(self) -> Condition | None:
        """Whether the rate in use is a fresh one; None where no price depends on it."""
        return rate_condition(self._verdict, self._clock.now(), self._limits) if needs_rate(self._spec) else None

    async def _use(self, rate: Rate) -> None:
        log.info("price.rate", extra={"wei_per_usd": str(rate.wei_per_usd), "source": rate.source})
        self._take(self.prices())
        try:
            await asyncio.to_thread(save_rate, self._path, rate)
        except OSError as error:
            log.warning("price.last_rate_not_saved", extra={"file": str(self._path), "error": str(error)})

    async def _ask(self, feed: FeedReader) -> Rate | Fault:
        try:
            async with asyncio.timeout(_ASK_FOR_S):
                answer = await feed.latest()
            return Rate(wei_per_unit(answer, "USD"), answer.updated_at, feed.address)
        except FeedUnusable as error:
            return Fault(error.reason, f"{feed.address}: {error}")
        except (LivefleetError, TimeoutError) as error:
            return Fault("NotRead", f"{feed.address}: {error or 'no answer in time'}")

    def _is_due(self) -> bool:
        return self._looked_at is None or self._clock.monotonic() - self._looked_at >= self._poll_s

    def _still_sane(self, rate: Rate | None) -> Rate | None:
        """A kept rate from the future was written under a wrong clock, and would outlive every answer."""
        return None if rate is not None and rate.updated_at > self._clock.now() + 3600 else rate


def rate_condition(verdict: Verdict, now: float, limits: RateLimits) -> Condition:
    """What operators are told of the rate. Prices go on from the last good one, so it never blocks readiness. Pure."""
    rate, fault = verdict.rate, verdict.fault
    if rate is None:
        why = fault.message if fault else "no feed was asked yet"
        return Condition(
            PRICE_FEED_FRESH, Status.FALSE, "NoRate", f"no price in USD is known yet: {why}", gates_ready=False
        )
    told = f"1 ETH = {rate.usd_per_eth} USD, {rate.age_s(now):.0f} s old, of {rate.source}"
    stale = rate.age_s(now) > limits.max_age_s
    if fault is None and not stale:
        return Condition(PRICE_FEED_FRESH, Status.TRUE, "Fresh", told, gates_ready=False)
    trouble = fault or Fault("Stale", "no feed was asked since")
    is_bad = stale or trouble.reason == "Jumped"
    return Condition(
        PRICE_FEED_FRESH,
        Status.FALSE if is_bad else Status.TRUE,
        "Stale" if stale else trouble.reason,
        f"the last good rate is used: {told}; {trouble.message}",
        gates_ready=False,
    )


def _nobody(_: PriceList) -> None:
    """Nobody quotes yet."""
