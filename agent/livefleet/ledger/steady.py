"""Reads at the newest block, which a node may answer with the state of the block that it is just making.

anvil resolves the number first and waits for its database after that: of balances and calls at the newest block, one or
two in a hundred came from the block after it while a transaction a block was mined. What was read before and after a
newer block came is therefore read again, at a block that is the newest no more.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from livefleet.chain import Rpc

__all__ = ["SteadyReads"]

T = TypeVar("T")


class SteadyReads:
    """Reads at blocks whose state cannot change under them."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._past = -1  # newest block that is known to have one after it

    async def at(self, block: int, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` found at `block`; it is called twice at most, so it must only read. Raises what it raises."""
        if await self._has_next(block):
            return await read()
        found = await read()
        if await self._has_next(block):
            return await read()
        return found

    async def _has_next(self, block: int) -> bool:
        if block > self._past:
            self._past = await self._rpc.block_number() - 1
        return block <= self._past
