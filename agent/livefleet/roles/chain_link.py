"""A role's link to the chain: endpoints, what is watched, what is sent, and whether all that is well."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from livefleet.chain import (
    TRANSACTIONS_MOVE,
    ChainClient,
    ChainWatcher,
    EndpointHealth,
    EndpointState,
    LastLook,
    Signer,
    TransactionPolicy,
    Transactions,
    connect,
)
from livefleet.kernel import Address, Clock, Condition, LivefleetError, Status
from livefleet.payments import StoreHealth
from livefleet.roles.base import RoleContext
from livefleet.roles.stores import NodeStores, holder_name
from livefleet.spec import Network, NetworkName

__all__ = [
    "CHAIN_REACHABLE",
    "PAYMENTS_DURABLE",
    "ChainLink",
    "chain_condition",
    "open_link",
    "open_watcher",
    "payments_condition",
    "report_link",
]

CHAIN_REACHABLE = "ChainReachable"
PAYMENTS_DURABLE = "PaymentsDurable"

_ADVICE = "look at the endpoints in `network.rpc`, or add one of another provider"
_IDLE_LOOK_BLOCKS, _IDLE_LOOK_S, _LOCAL_LOOK_S = 5, 60.0, 1.0


@dataclass(frozen=True, slots=True)
class ChainLink:
    """What duties on the chain share."""

    client: ChainClient
    watcher: ChainWatcher
    transactions: Transactions


@asynccontextmanager
async def open_link(
    context: RoleContext, signer: Signer, recipient: Address, stores: NodeStores
) -> AsyncIterator[ChainLink]:
    """Connect, look once, tie the store to the chain. Raises what connecting raises, and has said so."""
    spec, clock = context.spec, context.clock
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(await connect(spec.network, clock=clock))
            watcher = open_watcher(client, spec.network, recipient, clock)
            await watcher.look()
        except LivefleetError as error:
            context.board.report(Condition(CHAIN_REACHABLE, Status.FALSE, "NotSeen", str(error)))
            raise
        context.board.report(chain_condition(watcher.last_look(), None, client.rpc.endpoints))
        for name in (CHAIN_REACHABLE, PAYMENTS_DURABLE):
            stack.callback(context.board.withdraw, name)
        await stores.tickets.bind(client.chain_id)
        await stack.enter_async_context(watcher)
        transactions = await stack.enter_async_context(
            Transactions(
                client.rpc,
                signer,
                stores.intents(client.chain_id, signer.address),
                chain_id=client.chain_id,
                leases=stores.leases,
                holder=holder_name(spec),
                policy=TransactionPolicy(confirmations=spec.network.safe_depth, lease_s=spec.network.lease_s),
                report=context.board.report,
                clock=clock,
            )
        )
        stack.callback(context.board.withdraw, TRANSACTIONS_MOVE, signer.address)
        yield ChainLink(client, watcher, transactions)


def open_watcher(client: ChainClient, network: Network, recipient: Address, clock: Clock) -> ChainWatcher:
    """A watcher at the network's pace. Whoever enters it has it look."""
    idle_s = min(_IDLE_LOOK_S, _IDLE_LOOK_BLOCKS * network.l1_block_s)
    if network.name is NetworkName.DEVCHAIN:
        idle_s = min(_LOCAL_LOOK_S, network.l1_block_s)
    return ChainWatcher(
        client,
        recipient=recipient,
        poll_s=idle_s if network.idle_look_s is None else network.idle_look_s,
        l1_block_s=network.l1_block_s,
        confirmations=network.safe_depth,
        clock=clock,
    )


def report_link(context: RoleContext, watcher: ChainWatcher, store: StoreHealth) -> None:
    """Say whether the chain is seen and payments reach the disk."""
    context.board.report(chain_condition(watcher.last_look(), watcher.last_error, watcher.endpoints))
    context.board.report(payments_condition(store.fault))


def chain_condition(last: LastLook, error: str | None, endpoints: Sequence[EndpointHealth]) -> Condition:
    """Whether the chain is seen. Sessions go on from the last look until it is too old to be safe. Pure."""
    head = last.head
    if error is None:
        text = f"L1 block {head.l1_block}, round {head.current_round}{_troubled(endpoints)}"
        return Condition(CHAIN_REACHABLE, Status.TRUE, "Seen", text)
    if last.is_safe:
        text = f"last seen {last.age_s:.0f} s ago, serving from that for {last.left_s:.0f} s yet: {error}"
        return Condition(CHAIN_REACHABLE, Status.TRUE, "ServingFromLastLook", text, advice=_ADVICE)
    text = f"not seen for {last.age_s:.0f} s, too long to take payments: {error}"
    return Condition(CHAIN_REACHABLE, Status.FALSE, "NotSeen", text, advice=_ADVICE)


def _troubled(endpoints: Sequence[EndpointHealth]) -> str:
    """Which endpoints are not asked at the moment, and why."""
    resting = [
        f"{endpoint.url} rests for {endpoint.rests_for_s:.0f} s: {endpoint.why}"
        for endpoint in endpoints
        if endpoint.state is EndpointState.RESTING
    ]
    behind = [f"{endpoint.url} is behind, at block {endpoint.head}" for endpoint in endpoints if endpoint.is_behind]
    return "".join(f"; {text}" for text in (*resting, *behind))


def payments_condition(fault: str) -> Condition:
    """Whether payments reach the disk. While they do not, every one is answered 500: the node is not ready. Pure."""
    if not fault:
        return Condition(PAYMENTS_DURABLE, Status.TRUE, "Written", "the last write reached the disk")
    text = f"payments are refused, since they cannot be written: {fault}"
    return Condition(PAYMENTS_DURABLE, Status.FALSE, "WriteFailed", text)
