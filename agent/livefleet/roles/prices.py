"""Prices on the chain side: kept at the rate of now, quoted with a steady gas price."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from livefleet.chain import ChainClient, ChainWatcher, PriceFeed, feed_addresses
from livefleet.kernel import ConditionBoard, Wei
from livefleet.payments import DEFAULT_WINDOW_S, PRICE_FEED_FRESH, PriceKeeper, SteadyGas
from livefleet.roles.base import RoleContext

__all__ = ["LivePrices", "open_prices"]

_RATE_FILE: Final = "price-rate.json"


@dataclass(frozen=True, slots=True)
class LivePrices:
    """What payments quote with."""

    keeper: PriceKeeper
    gas: SteadyGas | None  # None: with the gas price of now
    watcher: ChainWatcher

    def gas_price(self) -> Wei:
        """Wei per gas to reckon with."""
        return self.watcher.head().gas_price if self.gas is None else self.gas.price()

    def report(self, board: ConditionBoard) -> None:
        """Say whether the rate is fresh, where prices depend on one."""
        condition = self.keeper.condition()
        if condition is None:
            board.withdraw(PRICE_FEED_FRESH)
        else:
            board.report(condition)

    def part(self) -> dict[str, Any]:
        """For /status: what quotes reckon with."""
        rate = self.keeper.rate
        return {
            "gas_price_wei": self.gas_price(),
            "usd_per_eth": rate.usd_per_eth if rate else None,
            "rate_updated_at": rate.updated_at if rate else None,
            "rate_source": rate.source if rate else None,
        }

    async def run(self) -> None:
        """Follow gas and feeds as the chain moves; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.keeper.run(self.watcher.wait_for_change))
            tasks.create_task(self._follow_gas())

    async def _follow_gas(self) -> None:
        while True:
            head = await self.watcher.wait_for_change()
            if self.gas is not None:
                self.gas.observe(head.gas_price)


async def open_prices(context: RoleContext, client: ChainClient, watcher: ChainWatcher) -> LivePrices:
    """Look at the feeds once, where prices depend on them. The watcher has looked before."""
    spec, clock = context.spec, context.clock
    feeds = [PriceFeed(client.rpc, address) for address in feed_addresses(spec.network, spec.prices.feed)]
    keeper = PriceKeeper(spec, feeds, spec.paths.state / _RATE_FILE, clock=clock)
    await keeper.look()
    window_s = DEFAULT_WINDOW_S if spec.prices.gas_window_s is None else spec.prices.gas_window_s
    gas = SteadyGas(watcher.head().gas_price, window_s=window_s, clock=clock) if window_s else None
    prices = LivePrices(keeper, gas, watcher)
    prices.report(context.board)
    return prices
