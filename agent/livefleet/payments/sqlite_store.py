"""A node's payments in one SQLite file."""

import asyncio
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from fractions import Fraction
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from livefleet.kernel import Blocking, Histogram
from livefleet.payments.errors import StoreFailed, StoreUnusable
from livefleet.payments.records import Later, Loaded, LostTicket, PaymentRecord, Settlement, StoredTicket, Totals, Write
from livefleet.payments.sqlite_file import SqliteFile
from livefleet.payments.write_queue import RETRY_S, WriteQueue

__all__ = ["SqliteStore"]

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore:
    """A TicketStore in one SQLite file. An async context manager; leaving writes what is queued.

    One thread holds the connection.
    """

    def __init__(self, path: Path, *, token_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._path = path
        self._token_bytes = token_bytes
        self._blocking = Blocking("payments-store")
        self._queue = WriteQueue(self._commit, where=str(path))
        self._stack = AsyncExitStack()
        self._opened: SqliteFile | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._blocking)
            try:
                self._opened = await self._blocking.run(SqliteFile, self._path)
            except (OSError, sqlite3.Error) as error:
                raise StoreUnusable(f"{self._path}: cannot open the payments store: {error}") from error
            stack.push_async_callback(self._blocking.run, self._opened.close)
            await stack.enter_async_context(self._queue)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def totals(self) -> Totals:
        """Sums as of the last commit."""
        return self._file.totals

    @property
    def fault(self) -> str:
        """Why the last commit failed; empty when it did not."""
        return self._queue.fault

    @property
    def waiting(self) -> int:
        """Writes that wait for the next commit."""
        return len(self._queue)

    @property
    def commits_s(self) -> Histogram:
        """How long commits took, those that failed too."""
        return self._queue.commits_s

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

    async def lost(self, since: float, limit: int) -> list[LostTicket]:
        """Tickets lost lately, oldest first."""
        return await self._run(self._file.lost, since, limit)

    async def note(self, ticket_hash: bytes, text: str) -> None:
        """Say why a ticket waits."""
        await self._run(self._file.note, ticket_hash, text)

    async def settle(self, end: Settlement) -> None:
        """Record the end of a ticket. Raises StoreFailed."""
        await self._queue.settle(end)

    def take(self, payment: PaymentRecord, done: Callable[[Fraction | None], None]) -> asyncio.Future[Fraction]:
        """Write a payment; see TicketStore."""
        return self._queue.take(payment, done)

    def later(self, write: Later) -> None:
        """Write with the next commit."""
        self._queue.later(write)

    async def _commit(self, writes: Sequence[Write]) -> list[Fraction]:
        try:
            return await self._blocking.run(self._file.commit, writes)
        except sqlite3.Error as error:
            raise StoreFailed(f"{type(error).__name__}: {error}", retry_after_s=RETRY_S) from error

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._blocking.run(function, *args, **kwargs)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path}: {error}", retry_after_s=RETRY_S) from error

    @property
    def _file(self) -> SqliteFile:
        assert self._opened is not None  # used between entering and leaving
        return self._opened
