"""What may happen to agents, endpoints and the chain while rounds pass. Each fault ends by itself within its round."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from tests.fault.round_story import CHEAP, DEEPEST_REORG, GAS_CEILING, Scene

__all__ = ["RoundFaults"]

_SLOW_S = 2.0
_OTHER_CHAIN = 42161
_STALE_BLOCKS = 6


class RoundFaults:
    """Does them to one scene; `round_s` is how long a round takes by the clock."""

    def __init__(self, scene: Scene, rng: random.Random, round_s: float) -> None:
        self._scene = scene
        self._rng = rng
        self._round_s = round_s
        self._killing = [asyncio.Lock() for _ in scene.agents]

    @property
    def all(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        """One of each kind, by name."""
        return (
            ("endpoint down", lambda: self._endpoint(refuses=True)),
            ("endpoint slow", lambda: self._endpoint(slow_s=_SLOW_S)),
            ("endpoint hangs", lambda: self._endpoint(hangs=True)),
            ("endpoint loses answers", lambda: self._endpoint(loses_answers=True, odds=0.3)),
            ("endpoint stale", lambda: self._endpoint(stale_by=_STALE_BLOCKS)),
            ("endpoint on another chain", lambda: self._endpoint(chain_id=_OTHER_CHAIN)),
            ("endpoint busy", lambda: self._endpoint(busy=True, retry_after_s=1)),
            ("all endpoints of one agent away", self._all_away),
            ("reorganisation", self._reorg),
            ("gas spike", self._gas_spike),
            ("kill -9", self._kill_one),
            ("kill -9 of both", self._kill_both),
        )

    async def _endpoint(self, **faults: object) -> None:
        endpoint = self._rng.choice(self._rng.choice(self._scene.endpoints))
        await self._wait(0.0, 0.5)
        await endpoint.become(**faults)
        await self._wait(0.2, 0.4)
        await endpoint.behave()

    async def _all_away(self) -> None:
        endpoints = self._rng.choice(self._scene.endpoints)
        await self._wait(0.0, 0.3)
        for endpoint in endpoints:
            await endpoint.become(refuses=True)
        await self._wait(0.2, 0.4)
        for endpoint in endpoints:
            await endpoint.behave()

    async def _reorg(self) -> None:
        await self._wait(0.02, 0.6)
        depth = self._rng.randint(1, DEEPEST_REORG)
        async with AsyncExitStack() as still:
            # A block that anvil mines just then stays in the chain while its state is lost: a transaction has a
            # receipt and its nonce counts as never used, which no real chain has.
            await still.enter_async_context(self._scene.pace.mining)
            for endpoint in (each for own in self._scene.endpoints for each in own):
                await still.enter_async_context(endpoint.still())
            await self._scene.chain.client.rpc.request("anvil_reorg", depth, [])

    async def _gas_spike(self) -> None:
        """From before the round's start until late in it."""
        self._scene.pace.base_fee = 10 * GAS_CEILING
        await self._wait(0.3, 0.6)
        self._scene.pace.base_fee = CHEAP

    async def _kill_one(self) -> None:
        await self._kill(self._rng.randrange(len(self._scene.agents)))

    async def _kill_both(self) -> None:
        await asyncio.gather(*(self._kill(index) for index in range(len(self._scene.agents))))

    async def _kill(self, index: int) -> None:
        agent = self._scene.agents[index]
        await self._wait(0.0, 0.5)
        async with self._killing[index]:  # two of these faults may meet in one round
            await asyncio.to_thread(agent.kill)
            await self._wait(0.0, 0.1)
            await asyncio.to_thread(agent.start)

    async def _wait(self, least: float, most: float) -> None:
        """Some part of a round."""
        await asyncio.sleep(self._round_s * self._rng.uniform(least, most))
