"""Where a node keeps payments, intents and leases: files of its own, or a database that nodes share."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from livefleet.chain import (
    IntentStore,
    Leases,
    Postgres,
    PostgresIntents,
    PostgresLeases,
    SqliteIntents,
    SqliteLeases,
    tls_context,
)
from livefleet.kernel import Address, BadInput
from livefleet.payments import (
    FleetMonitor,
    PostgresStore,
    SenderMonitor,
    SqliteStore,
    StoredTicket,
    TicketStore,
    read_tickets,
)
from livefleet.payments.postgres_tickets import tickets_of_node
from livefleet.payments.sender_monitor import ChainReader
from livefleet.roles.base import RoleContext, read_secret
from livefleet.spec import NodeSpec, StoreSettings, TlsMode

__all__ = [
    "NodeStores",
    "OwnStores",
    "SharedStores",
    "database_of",
    "holder_name",
    "node_name",
    "open_stores",
    "stored_tickets",
    "transactions_file",
]


@dataclass(frozen=True, slots=True)
class OwnStores:
    """Files of this node's."""

    tickets: TicketStore
    leases: Leases
    spec: NodeSpec

    def intents(self, chain_id: int, signer: Address) -> IntentStore:
        """What a key means to send; whoever gets it enters it."""
        return SqliteIntents(transactions_file(self.spec), chain_id=chain_id, signer=signer)

    @asynccontextmanager
    async def monitor(self, chain: ChainReader, recipient: Address) -> AsyncIterator[SenderMonitor]:
        """What senders are good for."""
        yield SenderMonitor(chain)


@dataclass(frozen=True, slots=True)
class SharedStores:
    """A database. `holder` names this process in leases."""

    tickets: PostgresStore
    leases: Leases
    database: Postgres

    def intents(self, chain_id: int, signer: Address) -> IntentStore:
        """What a key means to send; whoever gets it enters it."""
        return PostgresIntents(self.database, chain_id=chain_id, signer=signer)

    @asynccontextmanager
    async def monitor(self, chain: ChainReader, recipient: Address) -> AsyncIterator[SenderMonitor]:
        """What senders are good for, with what any node has under way."""
        async with FleetMonitor(chain, self.database, recipient) as monitor:
            yield monitor


NodeStores = OwnStores | SharedStores


@asynccontextmanager
async def open_stores(context: RoleContext) -> AsyncIterator[NodeStores]:
    """Open what the spec declares. Raises BadInput, StoreUnusable, DatabaseUnusable, and Transient while it is away."""
    spec = context.spec
    async with AsyncExitStack() as stack:
        if (shared := spec.shared_store) is None:
            path = transactions_file(spec)
            yield OwnStores(
                await stack.enter_async_context(SqliteStore(spec.paths.store)),
                await stack.enter_async_context(SqliteLeases(path, clock=context.clock)),
                spec,
            )
            return
        database = await stack.enter_async_context(database_of(spec, shared))
        leases = await stack.enter_async_context(PostgresLeases(database))
        tickets = await stack.enter_async_context(PostgresStore(database, name=node_name(spec)))
        yield SharedStores(tickets, leases, database)


def transactions_file(spec: NodeSpec) -> Path:
    """Where a node with files of its own keeps intents and leases."""
    return spec.paths.state / "transactions.sqlite3"


async def stored_tickets(spec: NodeSpec) -> list[StoredTicket]:
    """The node's winning tickets, newest first, read beside its agent. Raises BadInput, DatabaseFailed."""
    if (shared := spec.shared_store) is None:
        return read_tickets(spec.paths.store) if spec.paths.store.exists() else []
    async with database_of(spec, shared) as database, database.connection() as connection:
        return await tickets_of_node(connection, node_name(spec))


def node_name(spec: NodeSpec) -> str:
    """The node in a shared database."""
    return f"{spec.fleet}/{spec.name}"


def holder_name(spec: NodeSpec) -> str:
    """This process in leases: the node for people, and a number that makes it another after each start."""
    return f"{node_name(spec)} ({secrets.token_hex(4)})"


def database_of(spec: NodeSpec, shared: StoreSettings) -> Postgres:
    """The declared database, not entered. Raises BadInput where the secret is no URL or the CA file no certificate."""
    ca = None
    if shared.ca is not None:
        ca = str(spec.paths.resolve(spec.secrets.get(shared.ca, shared.ca)))
    tls = None if shared.tls is TlsMode.DISABLE else tls_context(verify=shared.tls is TlsMode.VERIFY, ca=ca)
    url = read_secret(spec, shared.postgres)
    try:
        return Postgres(
            url,
            tls=tls,
            connections=shared.connections,
            name=f"livefleet {node_name(spec)}",
        )
    except BadInput as error:
        raise BadInput(f"the secret {shared.postgres!r}: {error}") from error
