"""A role's link to the chain: endpoints, what is watched, what is sent, and whether all that is well."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from livefleet.chain import ChainClient, ChainHead, ChainWatcher, Signer, Transactions, connect
from livefleet.kernel import Address, Condition, LivefleetError, Status
from livefleet.payments import SqliteStore
from livefleet.roles.base import RoleContext

__all__ = [
    "CHAIN_REACHABLE",
    "PAYMENTS_DURABLE",
    "ChainLink",
    "chain_condition",
    "open_link",
    "payments_condition",
    "report_link",
]

CHAIN_REACHABLE = "ChainReachable"
PAYMENTS_DURABLE = "PaymentsDurable"

_TOO_OLD_S = 120.0  # without a look for this long, ticket expiry can no longer be told


@dataclass(frozen=True, slots=True)
class ChainLink:
    """What duties on the chain share."""

    client: ChainClient
    watcher: ChainWatcher
    transactions: Transactions


@asynccontextmanager
async def open_link(
    context: RoleContext, signer: Signer, recipient: Address, store: SqliteStore
) -> AsyncIterator[ChainLink]:
    """Connect, look once, tie the store to the chain. Raises what connecting raises, and has said so."""
    spec, clock = context.spec, context.clock
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(await connect(spec.network, clock=clock))
            watcher = ChainWatcher(client, recipient=recipient, poll_s=min(5.0, spec.network.l1_block_s), clock=clock)
            await watcher.look()
        except LivefleetError as error:
            context.board.report(Condition(CHAIN_REACHABLE, Status.FALSE, "NotSeen", str(error)))
            raise
        context.board.report(chain_condition(watcher.head(), clock.now(), None))
        for name in (CHAIN_REACHABLE, PAYMENTS_DURABLE):
            stack.callback(context.board.withdraw, name)
        await store.bind(client.chain_id)
        await stack.enter_async_context(watcher)
        transactions = await stack.enter_async_context(
            Transactions(
                client.rpc,
                signer,
                spec.paths.state / "transactions.sqlite3",
                chain_id=client.chain_id,
                clock=clock,
            )
        )
        yield ChainLink(client, watcher, transactions)


def report_link(context: RoleContext, watcher: ChainWatcher, store: SqliteStore) -> None:
    """Say whether the chain is seen and payments reach the disk."""
    context.board.report(chain_condition(watcher.head(), context.clock.now(), watcher.last_error))
    context.board.report(payments_condition(store.fault))


def chain_condition(head: ChainHead, now: float, error: str | None) -> Condition:
    """Whether the chain is seen. Sessions go on from the last look until it is too old to be safe. Pure."""
    age = now - head.seen_at
    if error is None:
        text = f"L1 block {head.l1_block}, round {head.current_round}"
        return Condition(CHAIN_REACHABLE, Status.TRUE, "Seen", text)
    if age < _TOO_OLD_S:
        text = f"last seen {age:.0f} s ago, serving from that: {error}"
        return Condition(CHAIN_REACHABLE, Status.TRUE, "ServingFromLastLook", text)
    return Condition(CHAIN_REACHABLE, Status.FALSE, "NotSeen", f"not seen for {age:.0f} s: {error}")


def payments_condition(fault: str) -> Condition:
    """Whether payments reach the disk. While they do not, every one is answered 500: the node is not ready. Pure."""
    if not fault:
        return Condition(PAYMENTS_DURABLE, Status.TRUE, "Written", "the last write reached the disk")
    text = f"payments are refused, since they cannot be written: {fault}; look at the disk's space and permissions"
    return Condition(PAYMENTS_DURABLE, Status.FALSE, "WriteFailed", text)
