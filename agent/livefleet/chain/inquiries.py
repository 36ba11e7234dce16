"""Questions to the node that strangers cause: asked once however many want to know, and only so many a second."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from livefleet.kernel import Address, Clock, Transient

__all__ = ["Inquiries"]

T = TypeVar("T")

_A_SECOND = 10.0
_BURST = 50.0
_KEPT = 1_000


class _AskerGone(Exception):
    """Whoever put the question was cancelled; another may."""


class Inquiries(Generic[T]):
    """Answers about addresses that nobody vouches for. One event loop's property.

    Anybody can make an address and sign for it, so what they make us ask must not depend on how many they make:
    `a_second` new questions on average, `burst` at once. Those who ask for a `known` address are not counted. Answers
    hold until `forget` is called (the chain has moved); of more than `kept` the oldest go.
    """

    def __init__(
        self, what: str, clock: Clock, *, a_second: float = _A_SECOND, burst: float = _BURST, kept: int = _KEPT
    ) -> None:
        self._what = what
        self._clock = clock
        self._a_second = a_second
        self._burst = burst
        self._kept = kept
        self._left = burst
        self._counted_at = clock.monotonic()
        self._answers: dict[Address, T] = {}
        self._asked: dict[Address, asyncio.Future[T]] = {}

    async def ask(self, address: Address, read: Callable[[], Awaitable[T]], *, known: bool = False) -> T:
        """What `read` says of `address`, maybe to somebody else. Raises what it raises, and Transient: too many ask."""
        while True:
            if address in self._answers:
                return self._answers[address]
            under_way = self._asked.get(address)
            if under_way is None:
                if not known:
                    self._count()
                return await self._read(address, read)
            try:
                return await asyncio.shield(under_way)
            except _AskerGone:
                continue

    def forget(self) -> None:
        """Answers may be different from now on."""
        self._answers.clear()

    async def _read(self, address: Address, read: Callable[[], Awaitable[T]]) -> T:
        future = self._asked[address] = asyncio.get_running_loop().create_future()
        try:
            answer = await read()
        except BaseException as error:
            future.set_exception(error if isinstance(error, Exception) else _AskerGone())
            future.exception()  # retrieved: there may be no other who wants to know
            raise
        finally:
            del self._asked[address]
        future.set_result(answer)
        while len(self._answers) >= self._kept:
            del self._answers[next(iter(self._answers))]
        self._answers[address] = answer
        return answer

    def _count(self) -> None:
        now = self._clock.monotonic()
        self._left = min(self._burst, self._left + (now - self._counted_at) * self._a_second)
        self._counted_at = now
        if self._left < 1:
            raise Transient(f"too many unknown {self._what} at the moment", retry_after_s=1.0)
        self._left -= 1
