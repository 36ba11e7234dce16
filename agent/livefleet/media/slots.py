"""A device's places for jobs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Slots"]


class Slots:
    """Shared by up to `count` jobs, or had by one alone. First come, first served."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = asyncio.Semaphore(count)
        self._gathering = asyncio.Lock()

    @asynccontextmanager
    async def take(self, *, alone: bool = False) -> AsyncIterator[None]:
        """Hold one place, or with `alone` every place."""
        wanted = self._count if alone else 1
        held = 0
        try:
            if alone:
                async with self._gathering:  # two that gather places at once would wait for each other
                    while held < wanted:
                        await self._free.acquire()
                        held += 1
            else:
                await self._free.acquire()
                held = 1
            yield
        finally:
            for _ in range(held):
                self._free.release()
