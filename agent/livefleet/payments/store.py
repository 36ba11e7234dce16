"""Durable payments: what must be on disk before anybody is told. `SqliteStore` and `PostgresStore` promise it."""

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

from livefleet.kernel import Histogram
from livefleet.payments.records import Later, Loaded, LostTicket, PaymentRecord, Settlement, StoredTicket, Totals

__all__ = ["StoreHealth", "TicketStore", "Winners"]


class StoreHealth(Protocol):
    """Whether and how fast what is written reaches the disk; for reading only."""

    @property
    def fault(self) -> str:
        """Why nothing is written now; empty when the last commit worked."""
        ...

    @property
    def waiting(self) -> int:
        """Writes that wait for the next commit."""
        ...

    @property
    def commits_s(self) -> Histogram:
        """How long commits took, those that failed too."""
        ...


class Winners(Protocol):
    """Winning tickets from their arrival to their end: of one node, or of all that share a database and a recipient."""

    @property
    def totals(self) -> Totals:
        """Sums as of the last commit; of other nodes', as of a few seconds ago."""
        ...

    async def pending(self) -> list[StoredTicket]:
        """Winning tickets to redeem, by parameter expiry and then by value. Raises StoreFailed."""
        ...

    async def lost(self, since: float, limit: int) -> list[LostTicket]:
        """Tickets lost at or after `since` (unix seconds), oldest first; the newest `limit`. Raises StoreFailed."""
        ...

    async def note(self, ticket_hash: bytes, text: str) -> None:
        """Say why a ticket waits. Raises StoreFailed."""
        ...

    async def settle(self, end: Settlement) -> None:
        """Record the end of a ticket; it is durable on return. Raises StoreFailed."""
        ...


class TicketStore(Winners, StoreHealth, Protocol):
    """Where one node's payments are kept. Writes take effect in the order in which they were given."""

    async def load(self) -> Loaded:
        """What to start from."""
        ...

    async def secret(self, name: str) -> bytes:
        """32 random bytes, made once and the same after every restart."""
        ...

    async def bind(self, chain_id: int) -> None:
        """Tie the store to a chain. Raises StoreUnusable where it holds another chain's tickets."""
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
