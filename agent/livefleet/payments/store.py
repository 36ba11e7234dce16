"""Durable payments: what must be on disk before anybody is told."""

import asyncio
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Protocol, Self, TypeVar

from livefleet.kernel import Blocking, Histogram
from livefleet.payments.errors import StoreFailed, StoreUnusable
from livefleet.payments.records import (
    Later,
    Loaded,
    PaymentRecord,
    Settlement,
    StoredTicket,
    Totals,
    Write,
)
from livefleet.payments.sqlite_file import SqliteFile

__all__ = ["SqliteStore", "TicketStore"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_RETRY_S = 1.0
_COMMIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class TicketStore(Protocol):
    """Where payments are kept. Writes take effect in the order in which they were given."""

    @property
    def totals(self) -> Totals:
        """Sums as of the last commit."""
        ...

    @property
    def fault(self) -> str:
        """Why the last commit failed; empty when it did not."""
        ...

    async def load(self) -> Loaded:
        """What to start from."""
        ...

    async def secret(self, name: str) -> bytes:
        """32 random bytes, made once and the same after every restart."""
        ...

    def take(self, payment: PaymentRecord, done: Callable[[Fraction | None], None]) -> asyncio.Future[Fraction]:
        """Write a payment. The future ends after the commit with what was credited, or with StoreFailed.

        `done(credit)` is called once on the loop just before, with None for a failure, also where nobody waits for
        the future any more.
        """
        ...

    def later(self, write: Later) -> None:
        """Write with the next commit, and again until it works; not waited for."""
        ...

    async def pending(self) -> list[StoredTicket]:
        """Winning tickets to redeem, by parameter expiry and then by value."""
        ...

    async def note(self, ticket_hash: bytes, text: str) -> None:
        """Say why a ticket waits."""
        ...

    async def settle(self, end: Settlement) -> None:
        """Record the end of a ticket; it is durable on return."""
        ...


@dataclass(slots=True)
class _Queued:
    write: Write
    future: asyncio.Future[Fraction] | None = None  # None: nobody waits, keep until written
    done: Callable[[Fraction | None], None] | None = None


class SqliteStore:
    """A TicketStore in one SQLite file. An async context manager; leaving writes what is queued.

    One thread holds the connection. What arrives while a commit runs goes into the next one together, so that the
    price of a disk flush is shared by concurrent payments.
    """

    def __init__(self, path: Path, *, token_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._path = path
        self._token_bytes = token_bytes
        self._blocking = Blocking("payments-store")
        self._group = asyncio.TaskGroup()
        self._stack = AsyncExitStack()
        self._queue: list[_Queued] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._opened: SqliteFile | None = None
        self.fault = ""
        self.commits_s = Histogram(_COMMIT_S)
        """How long commits took, those that failed too; for reading only."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._blocking)
            try:
                self._opened = await self._blocking.run(SqliteFile, self._path)
            except (OSError, sqlite3.Error) as error:
                raise StoreUnusable(f"{self._path}: cannot open the payments store: {error}") from error
            stack.push_async_callback(self._blocking.run, self._opened.close)
            await stack.enter_async_context(self._group)
            self._group.create_task(self._write_batches(), name="payments-store")
            stack.callback(self._close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The group must not learn of the body's error: it would cancel the last commit.
        await self._stack.__aexit__(None, None, None)

    @property
    def totals(self) -> Totals:
        """Sums as of the last commit."""
        return self._file.totals

    @property
    def waiting(self) -> int:
        """Writes that wait for the next commit."""
        return len(self._queue)

    async def auth_secret(self) -> bytes:
        """What auth tokens are proved with; the same after every restart."""
        return await self.secret("auth-token")

    async def secret(self, name: str) -> bytes:
        """32 random bytes, made once."""
        return await self._run(self._file.secret, name, self._token_bytes)

    async def bind(self, chain_id: int) -> None:
        """Tie the store to a chain. Raises StoreUnusable where it holds another chain's tickets."""
        await self._run(self._file.bind, chain_id)

    async def load(self) -> Loaded:
        """Balances and nonces."""
        return await self._run(self._file.load)

    async def pending(self) -> list[StoredTicket]:
        """Winning tickets to redeem, by parameter expiry and then by value."""
        return await self._run(self._file.pending)

    async def note(self, ticket_hash: bytes, text: str) -> None:
        """Say why a ticket waits."""
        await self._run(self._file.note, ticket_hash, text)

    async def settle(self, end: Settlement) -> None:
        """Record the end of a ticket. Raises StoreFailed."""
        await asyncio.shield(self._enqueue(end, None))

    def take(self, payment: PaymentRecord, done: Callable[[Fraction | None], None]) -> asyncio.Future[Fraction]:
        """Write a payment; see TicketStore."""
        return self._enqueue(payment, done)

    def later(self, write: Later) -> None:
        """Write with the next commit."""
        self._queue.append(_Queued(write))
        self._wake.set()

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
            credits_ = await self._blocking.run(self._file.commit, [queued.write for queued in batch])
        except sqlite3.Error as error:
            self.fault = f"{type(error).__name__}: {error}"
            log.error("payments.store_failed", extra={"path": str(self._path), "error": self.fault})  # noqa: TRY400 -- the text says it all
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
                queued.future.set_exception(StoreFailed(f"not written: {self.fault}", retry_after_s=_RETRY_S))
        kept = [queued for queued in batch if queued.future is None]
        if not self._closing:
            self._queue[:0] = kept
            asyncio.get_running_loop().call_later(_RETRY_S, self._wake.set)
        elif kept:
            log.error("payments.writes_dropped", extra={"path": str(self._path), "count": len(kept)})

    def _close(self) -> None:
        self._closing = True
        self._wake.set()

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._blocking.run(function, *args, **kwargs)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path}: {error}", retry_after_s=_RETRY_S) from error

    @property
    def _file(self) -> SqliteFile:
        assert self._opened is not None  # used between entering and leaving
        return self._opened
