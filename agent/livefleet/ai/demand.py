"""Whether a model shall be loaded now, and who waits for that."""

import asyncio

__all__ = ["Demand"]


class Demand:
    """One model's. Belongs to one event loop."""

    def __init__(self, *, is_wanted: bool) -> None:
        self.waiting = 0
        """Requests that wait for the load."""

        self._wanted = asyncio.Event()
        self._end = asyncio.Event()  # set when the load that is wanted now has come to an end, good or bad
        if is_wanted:
            self._wanted.set()

    @property
    def is_wanted(self) -> bool:
        """Whether it shall be loaded, or shall stay so."""
        return self._wanted.is_set()

    def want(self) -> None:
        """Have it loaded."""
        if self._end.is_set() and not self._wanted.is_set():
            self._end = asyncio.Event()
        self._wanted.set()

    def drop(self) -> None:
        """Nobody wants it any more."""
        self._wanted.clear()

    def ends(self) -> None:
        """The load has come to an end, good or bad."""
        self._end.set()

    async def arises(self) -> None:
        """Wait until it is wanted."""
        await self._wanted.wait()

    async def outcome(self, within_s: float) -> None:
        """Want it, and wait for the load's end. Raises TimeoutError; it goes on for those that come later."""
        self.want()
        self.waiting += 1
        try:
            async with asyncio.timeout(within_s):
                await self._end.wait()
        finally:
            self.waiting -= 1
