"""Group commit: writes in the order in which they were given; what arrives during a commit goes into the next."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from livefleet.kernel import Histogram
from livefleet.payments.errors import StoreFailed
from livefleet.payments.records import Later, PaymentRecord, Settlement, Write

__all__ = ["RETRY_S", "WriteQueue"]

log = logging.getLogger(__name__)

RETRY_S = 1.0
"""How long what nobody waits for rests after a commit that failed, and what callers are told to wait."""

_COMMIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


@dataclass(slots=True)
class _Queued:
    write: Write
    future: asyncio.Future[Fraction] | None = None  # None: nobody waits, keep until written
    done: Callable[[Fraction | None], None] | None = None


class WriteQueue:
    """What a store is given to write. An async context manager; leaving writes what is queued.

    `commit` makes all of its writes durable and tells what each credited, or raises StoreFailed, and then none is
    there. The price of a flush is shared by whatever arrived during the last one. `where` is for the log.
    """

    def __init__(self, commit: Callable[[Sequence[Write]], Awaitable[list[Fraction]]], *, where: str) -> None:
        self._commit = commit
        self._where = where
        self._group = asyncio.TaskGroup()
        self._queue: list[_Queued] = []
        self._wake = asyncio.Event()
        self._closing = False
        self.fault = ""
        """Why the last commit failed; empty when it did not."""
        self.commits_s = Histogram(_COMMIT_S)
        """How long commits took, those that failed too; for reading only."""

    def __len__(self) -> int:
        """Writes that wait for the next commit."""
        return len(self._queue)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._group.create_task(self._write_batches(), name="payments-store")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._closing = True
        self._wake.set()
        # The group must not learn of the body's error: it would cancel the last commit.
        await self._group.__aexit__(None, None, None)

    def take(self, payment: PaymentRecord, done: Callable[[Fraction | None], None]) -> asyncio.Future[Fraction]:
        """Write a payment; see TicketStore."""
        return self._enqueue(payment, done)

    def later(self, write: Later) -> None:
        """Write with the next commit, and again until it works."""
        self._queue.append(_Queued(write))
        self._wake.set()

    async def settle(self, end: Settlement) -> None:
        """Write the end of a ticket. Raises StoreFailed."""
        await asyncio.shield(self._enqueue(end, None))

    def _enqueue(self, write: Write, done: Callable[[Fraction | None], None] | None) -> asyncio.Future[Fraction]:
        if self._closing:
            raise StoreFailed("the payments store is closing")
        future: asyncio.Future[Fraction] = asyncio.get_running_loop().create_future()
        self._queue.append(_Queued(write, future, done))
        self._wake.set()
        return future

    async def _write_batches(self) -> None:
        while self._queue or not self._closing:
            await self._wake.wait()
            self._wake.clear()
            batch, self._queue = self._queue, []
            if batch:
                await self._write(batch)

    async def _write(self, batch: list[_Queued]) -> None:
        started = time.monotonic()
        try:
            credits_ = await self._commit([queued.write for queued in batch])
        except StoreFailed as error:
            self.fault = str(error)
            log.error("payments.store_failed", extra={"store": self._where, "error": self.fault})  # noqa: TRY400 -- the text says it all
            self._fail(batch)
            return
        finally:
            self.commits_s.observe(time.monotonic() - started)
        self.fault = ""
        for queued, credit in zip(batch, credits_, strict=True):
            if queued.done is not None:
                queued.done(credit)
            if queued.future is not None and not queued.future.done():
                queued.future.set_result(credit)

    def _fail(self, batch: list[_Queued]) -> None:
        for queued in batch:
            if queued.done is not None:
                queued.done(None)
            if queued.future is not None and not queued.future.done():
                queued.future.set_exception(StoreFailed(f"not written: {self.fault}", retry_after_s=RETRY_S))
        kept = [queued for queued in batch if queued.future is None]
        if not self._closing:
            self._queue[:0] = kept
            asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)
        elif kept:
            log.error("payments.writes_dropped", extra={"store": self._where, "count": len(kept)})
