"""A node's payments in a database that many nodes share.

Every commit carries the node's batch number, so that a commit whose answer was lost is looked up and not guessed; and
it is made only while this process is the last one that opened the node's store, so that two agents under one name
never write together.
"""

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

from livefleet.chain.errors import DatabaseFailed
from livefleet.chain.postgres import Connection, Postgres, connection_errors, is_in_the_way
from livefleet.kernel import Address, Histogram
from livefleet.payments.balance import Account, Balance
from livefleet.payments.errors import StoreFailed
from livefleet.payments.models import TicketCount
from livefleet.payments.postgres_batch import Batch, Undo, session_from, take_back
from livefleet.payments.postgres_schema import PART, STEPS
from livefleet.payments.postgres_tickets import (
    closed_before,
    lost_tickets,
    node_totals,
    pending_tickets,
    recipient_totals,
)
from livefleet.payments.records import (
    Commitment,
    ForgetBalances,
    Later,
    Loaded,
    LostTicket,
    PaymentRecord,
    Settlement,
    StoredTicket,
    Totals,
    Write,
)
from livefleet.payments.write_queue import RETRY_S, WriteQueue

__all__ = ["PostgresStore", "SharedWinners"]

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0  # at what other processes did, and whether the database is there
_DOUBT_S = 3.0  # how long a commit whose answer was lost keeps its payments waiting
_ASK_AGAIN_S = 0.1
_TRIES = 3  # of a transaction that another one stood in the way of


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A commit that may or may not have happened."""

    batch: int
    undo: Undo


class PostgresStore:
    """A TicketStore for the node `name` (fleet/host). An async context manager; leaving writes what is queued.

    The database outlives it. `winners_of(recipient)` is what a redeemer works on: every node's tickets.
    """

    def __init__(
        self,
        database: Postgres,
        *,
        name: str,
        doubt_s: float = _DOUBT_S,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._name = name
        self._doubt_s = doubt_s
        self._token_bytes = token_bytes
        self._holder = secrets.token_bytes(16)
        self._queue = WriteQueue(self._commit, where=database.place)
        self._stack = AsyncExitStack()
        self._node = 0
        self._batch = 0
        self._totals = Totals()
        self._doubts: list[_Doubt] = []
        self._away = ""
        self._shared: list[SharedWinners] = []

    async def __aenter__(self) -> Self:
        """Raises DatabaseFailed and DatabaseUnusable."""
        await self._database.migrate(PART, STEPS)
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                "INSERT INTO livefleet.nodes (name, holder) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE "
                "SET holder = excluded.holder RETURNING id, batch, received_count, received_value",
                *(self._name, self._holder),
            )
            self._node, self._batch = row["id"], row["batch"]
            received = TicketCount(row["received_count"], Fraction(row["received_value"]))
            self._totals = await node_totals(connection, self._node, received)
        async with AsyncExitStack() as stack:
            watching = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(watching.create_task(self._watch(), name="payments-store-watch").cancel)
            await stack.enter_async_context(self._queue)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def totals(self) -> Totals:
        """What this node won, as of the last commit; what became of it, as of a few seconds ago."""
        return self._totals

    @property
    def fault(self) -> str:
        """Why nothing is written now; empty when the last commit and the last look worked."""
        return self._queue.fault or self._away

    @property
    def waiting(self) -> int:
        """Writes that wait for the next commit."""
        return len(self._queue)

    @property
    def commits_s(self) -> Histogram:
        """How long commits took, those that failed too."""
        return self._queue.commits_s

    async def winners_of(self, recipient: Address) -> "SharedWinners":
        """Every node's winning tickets for a recipient, kept current while this store is open."""
        async with self._asked() as connection:
            totals = await recipient_totals(connection, recipient)
        shared = SharedWinners(self, self._database, recipient, totals)
        self._shared.append(shared)
        return shared

    async def secret(self, name: str) -> bytes:
        """32 random bytes of this node's, made once."""
        async with self._asked() as connection:
            await connection.execute(
                "INSERT INTO livefleet.secrets VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                *(self._node, name, self._token_bytes(32)),
            )
            found = "SELECT value FROM livefleet.secrets WHERE node = $1 AND name = $2"
            return bytes(await connection.fetchval(found, self._node, name))

    async def bind(self, chain_id: int) -> None:
        """Tie the database to a chain. Raises DatabaseUnusable where it holds another chain's tickets."""
        try:
            await self._database.bind(chain_id)
        except DatabaseFailed as error:
            raise StoreFailed(str(error), retry_after_s=RETRY_S) from error

    async def load(self) -> Loaded:
        """Balances and nonces of this node."""
        async with self._asked() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            floor = await connection.fetchval("SELECT nonces_floor FROM livefleet.nodes WHERE id = $1", self._node)
            return Loaded(
                await _load_balances(connection, self._node), await _load_commitments(connection, self._node), floor
            )

    async def pending(self) -> list[StoredTicket]:
        """This node's winning tickets to redeem, by parameter expiry and then by value."""
        async with self._asked() as connection:
            return await pending_tickets(connection, node=self._node)

    async def lost(self, since: float, limit: int) -> list[LostTicket]:
        """This node's tickets lost lately, oldest first."""
        async with self._asked() as connection:
            return await lost_tickets(connection, since, limit, node=self._node)

    async def note(self, ticket_hash: bytes, text: str) -> None:
        """Say why a ticket waits."""
        async with self._asked() as connection:
            await connection.execute("UPDATE livefleet.tickets SET note = $2 WHERE hash = $1", ticket_hash, text)

    async def settle(self, end: Settlement) -> None:
        """Record the end of a ticket, whoever won it. Raises StoreFailed."""
        await self._queue.settle(end)

    def take(self, payment: PaymentRecord, done: Callable[[Fraction | None], None]) -> asyncio.Future[Fraction]:
        """Write a payment; see TicketStore."""
        return self._queue.take(payment, done)

    def later(self, write: Later) -> None:
        """Write with the next commit."""
        self._queue.later(write)

    async def _commit(self, writes: Sequence[Write]) -> list[Fraction]:
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._try(writes)
            except DatabaseFailed as error:
                in_the_way = is_in_the_way(error.__cause__)
                if not (in_the_way and tries_left):
                    raise StoreFailed(str(error), retry_after_s=RETRY_S) from error
        raise AssertionError("the last try returns or raises")

    async def _try(self, writes: Sequence[Write]) -> list[Fraction]:
        """One transaction. Where the answer to its commit is lost, the database is asked what became of it."""
        done, is_committed = None, False
        try:
            async with self._database.connection() as connection:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    done = await self._write(connection, writes)
                except BaseException:
                    with suppress(*connection_errors()):
                        await transaction.rollback()
                    raise
                await transaction.commit()
                is_committed = True
        except DatabaseFailed as error:
            if done is None:
                raise
            if not (is_committed or await self._is_committed(done.batch)):
                self._doubts.append(_Doubt(done.batch, done.undo))
                raise StoreFailed(f"{error}: no answer to a commit", retry_after_s=RETRY_S) from error
        self._doubts = []
        self._batch, self._totals = done.batch, done.totals
        for shared, totals in done.shared:
            shared.totals = totals
        return done.credited

    async def _write(self, connection: Connection, writes: Sequence[Write]) -> "_Done":
        row = await connection.fetchrow(
            "SELECT batch, received_count, received_value FROM livefleet.nodes "
            "WHERE id = $1 AND holder = $2 FOR UPDATE",
            *(self._node, self._holder),
        )
        if row is None:
            raise StoreFailed(self._taken_over(), retry_after_s=RETRY_S)
        received = TicketCount(row["received_count"], Fraction(row["received_value"]))
        # A commit that was told as failed and happened: the payments may come again, so nothing of them may be there.
        self._doubts = [doubt for doubt in self._doubts if doubt.batch == row["batch"]]
        for doubt in self._doubts:
            await take_back(connection, self._node, doubt.undo)
            received = doubt.undo.received
            log.warning("payments.commit_taken_back", extra={"store": self._database.place, "batch": doubt.batch})
        batch = Batch(connection, self._node, received)
        await batch.apply(writes)
        number = row["batch"] + 1
        await connection.execute(
            "UPDATE livefleet.nodes SET batch = $2, received_count = $3, received_value = $4 WHERE id = $1",
            *(self._node, number, batch.received.count, str(batch.received.value)),
        )
        totals, shared = replace(self._totals, received=batch.received), []
        if batch.sums_changed:
            totals = await node_totals(connection, self._node, batch.received)
            shared = [(view, await recipient_totals(connection, view.recipient)) for view in self._shared]
        return _Done(number, batch.credited, totals, tuple(shared), batch.undo)

    async def _is_committed(self, batch: int) -> bool:
        """Ask until the database answers, or the payments have waited long enough: then it counts as not written."""
        deadline = asyncio.get_running_loop().time() + self._doubt_s
        while asyncio.get_running_loop().time() < deadline:
            with suppress(DatabaseFailed):
                async with self._database.connection() as connection:
                    # Waits for the lost transaction's own lock where it is still under way.
                    row = await connection.fetchrow(
                        "SELECT batch, holder FROM livefleet.nodes WHERE id = $1 FOR UPDATE", self._node
                    )
                return bool(row["batch"] == batch and row["holder"] == self._holder)
            await asyncio.sleep(_ASK_AGAIN_S)
        return False

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                await self._look()
            except DatabaseFailed as error:
                self._away = str(error)
            else:
                if self._queue.fault and not len(self._queue):
                    self._queue.later(ForgetBalances(()))  # nothing: its commit tells whether writing works again

    async def _look(self) -> None:
        batch = self._batch
        async with self._database.connection() as connection:
            holder = await connection.fetchval("SELECT holder FROM livefleet.nodes WHERE id = $1", self._node)
            totals = await node_totals(connection, self._node, self._totals.received)
            shared = [(view, await recipient_totals(connection, view.recipient)) for view in self._shared]
        self._away = "" if holder == self._holder else self._taken_over()
        if batch != self._batch:
            return  # a commit of our own meanwhile told more
        self._totals = totals
        for view, its in shared:
            view.totals = its

    def _taken_over(self) -> str:
        return (
            f"{self._database.place}: another agent has started as {self._name}, so this one writes no more; stop one "
            "of both, then restart this one if it is to stay"
        )

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[Connection]:
        try:
            async with self._database.connection() as connection:
                yield connection
        except DatabaseFailed as error:
            raise StoreFailed(str(error), retry_after_s=RETRY_S) from error


class SharedWinners:
    """Winners over every node's tickets for one recipient; settled through the store of whoever redeems them."""

    def __init__(self, store: PostgresStore, database: Postgres, recipient: Address, totals: Totals) -> None:
        self.recipient = recipient
        self.totals = totals
        """As of the last commit here, or a few seconds ago."""
        self.closed_before = 0
        """Of the tickets last told as pending, whoever won them: their parameters that expire before this L1 block take
        no tickets any more, for good. For reading only."""
        self._store = store
        self._database = database

    async def pending(self) -> list[StoredTicket]:
        """Winning tickets to redeem, by parameter expiry and then by value."""
        try:
            async with self._database.connection() as connection:
                tickets = await pending_tickets(connection, recipient=self.recipient)
                # Asked afterwards: of every node that has one of these tickets, and blocks only rise.
                self.closed_before = await closed_before(connection, self.recipient)
                return tickets
        except DatabaseFailed as error:
            raise StoreFailed(str(error), retry_after_s=RETRY_S) from error

    async def lost(self, since: float, limit: int) -> list[LostTicket]:
        """Tickets lost lately, whoever won them, oldest first."""
        try:
            async with self._database.connection() as connection:
                return await lost_tickets(connection, since, limit, recipient=self.recipient)
        except DatabaseFailed as error:
            raise StoreFailed(str(error), retry_after_s=RETRY_S) from error

    async def note(self, ticket_hash: bytes, text: str) -> None:
        """Say why a ticket waits."""
        await self._store.note(ticket_hash, text)

    async def settle(self, end: Settlement) -> None:
        """Record the end of a ticket. Raises StoreFailed."""
        await self._store.settle(end)


@dataclass(frozen=True, slots=True)
class _Done:
    """What a transaction came to, should it be committed."""

    batch: int
    credited: list[Fraction]
    totals: Totals
    shared: tuple[tuple[SharedWinners, Totals], ...]
    undo: Undo


async def _load_balances(connection: Connection, node: int) -> dict[Account, Balance]:
    rows = await connection.fetch(
        "SELECT sender, session, amount, fixed_price, touched FROM livefleet.balances WHERE node = $1", node
    )
    return {
        (Address(row["sender"]), session_from(row["session"])): Balance(
            Fraction(row["amount"]),
            None if row["fixed_price"] is None else Fraction(row["fixed_price"]),
            row["touched"],
        )
        for row in rows
    }


async def _load_commitments(connection: Connection, node: int) -> dict[bytes, Commitment]:
    seen: defaultdict[bytes, set[int]] = defaultdict(set)
    nonces = "SELECT recipient_rand_hash, nonce FROM livefleet.nonces WHERE node = $1"
    for rand_hash, nonce in await connection.fetch(nonces, node):
        seen[rand_hash].add(nonce)
    sets = "SELECT recipient_rand_hash, expiration_block, sender FROM livefleet.commitments WHERE node = $1"
    return {
        rand_hash: Commitment(Address(sender), block, frozenset(seen[rand_hash]))
        for rand_hash, block, sender in await connection.fetch(sets, node)
    }
