"""The role keykeeper: holds keys and does what they are for on the chain. No media, no gateways, no public port."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from livefleet.chain import ChainHead, Signer, TransactionPolicy, Transactions, checksum_address
from livefleet.health import Reading
from livefleet.kernel import Condition, Status, run_duty
from livefleet.reconcile import ReconcileLoop
from livefleet.roles.base import (
    NeverEmptied,
    RoleContext,
    close_signer,
    open_signer,
    private_folder,
    signer_loops,
)
from livefleet.roles.bookkeeping import Bookkeeping, open_bookkeeping
from livefleet.roles.chain_duties import ChainDuties, open_chain_duties
from livefleet.roles.chain_link import CHAIN_REACHABLE, ChainLink, chain_condition, open_link
from livefleet.roles.chain_report import chain_part, own_chain_readings
from livefleet.roles.reference_metrics import gas_readings
from livefleet.roles.rewarding import Rewarding, open_rewarding
from livefleet.roles.stores import NodeStores, holder_name, open_stores
from livefleet.spec import NodeSpec

__all__ = ["KEYS_IN_USE", "KeykeeperRole"]

log = logging.getLogger(__name__)

KEYS_IN_USE = "KeysInUse"


@dataclass(frozen=True, slots=True)
class _Running:
    """What works while the chain is there."""

    link: ChainLink
    duties: ChainDuties
    rewarding: Rewarding | None
    books: Bookkeeping


class KeykeeperRole(NeverEmptied):
    """Reward, declared on-chain state and its proposals for one orchestrator, with the keys that this host has.

    What needs a key that is not here becomes a proposal. Each key has one sender, whatever uses it.
    """

    required: tuple[str, ...] = (KEYS_IN_USE, CHAIN_REACHABLE)

    def __init__(self, context: RoleContext) -> None:
        assert context.spec.keykeeper is not None  # NodeSpec's own rule
        self._context = context
        self._spec = context.spec
        self._settings = context.spec.keykeeper
        self._orchestrator = checksum_address(bytes.fromhex(self._settings.orchestrator[2:]))
        self._signers: dict[str, Signer] = {}
        self._running: _Running | None = None

    async def __aenter__(self) -> Self:
        for name in dict.fromkeys(self._settings.keys.names.values()):
            self._signers[name] = await open_signer(self._spec, name)
        for folder in (self._spec.paths.state, self._spec.paths.run):
            private_folder(folder)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._signers:
            await close_signer(self._signers.popitem()[1])

    async def run(self) -> None:
        """Do the duties; what cannot be reached yet is tried again."""
        await run_duty("keykeeper", self._serve, on_failure=self._failed)

    def take_over(self, spec: NodeSpec) -> None:
        """Call reward by the duty's limits and keep on chain what is declared now. Raises BadInput, nothing changed."""
        running = self._running
        begin = None if running is None else running.duties.prepare(spec)
        self._spec = spec
        self._context = replace(self._context, spec=spec)
        if running is not None and running.rewarding is not None:
            running.rewarding.go_by(spec)
        if begin is not None:
            begin()

    def parts(self) -> Mapping[str, Any]:
        """The keys by name, whose orchestrator it is about, open proposals, and the chain as it is seen."""
        if self._running is None:
            return {}
        return {
            "keykeeper": {
                "orchestrator": self._orchestrator,
                "keys": [
                    {"name": name, "address": signer.address, "at": self._place(name), "for": self._used_as(name)}
                    for name, signer in self._signers.items()
                ],
            },
            "chain": chain_part(self._running.link.watcher),
            "proposals": self._running.duties.part(),
        }

    def readings(self) -> list[Reading]:
        """The same for /metrics."""
        if self._running is None:
            return []
        link, rewarding = self._running.link, self._running.rewarding
        head = link.watcher.head()
        return [
            *gas_readings(head, None),
            *own_chain_readings(link.watcher),
            *(rewarding.readings() if rewarding is not None else ()),
            *self._running.duties.readings(),
            *self._running.books.readings(),
        ]

    async def _serve(self) -> None:
        context, reward = self._context, self._spec.duties.reward
        async with AsyncExitStack() as stack:
            stack.callback(self._closed)
            stores = await stack.enter_async_context(open_stores(context))
            main = self._settings.keys.rewarding
            link = await stack.enter_async_context(open_link(context, self._signers[main], self._orchestrator, stores))
            keys = {main: link.transactions}
            for name, signer in self._signers.items():
                if name not in keys:
                    keys[name] = await stack.enter_async_context(self._sender(link, signer, stores))
            rewarding = None
            if reward is not None:
                rewarding = open_rewarding(context, link, self._orchestrator, stores, reward)
            books = await stack.enter_async_context(open_bookkeeping(context, link, self._orchestrator, keys))
            duties = open_chain_duties(context, link, self._orchestrator, keys, further=books.loops)
            self._running = _Running(link, duties, rewarding, books)
            held = ", ".join(f"{name} ({signer.address})" for name, signer in self._signers.items())
            context.board.report(Condition(KEYS_IN_USE, Status.TRUE, "InUse", f"keys {held}"))
            log.info("keykeeper.working", extra={"orchestrator": self._orchestrator, "keys": list(self._signers)})
            loops = [*([rewarding.loop] if rewarding is not None else []), *signer_loops(context, self._signers)]
            async with asyncio.TaskGroup() as tasks:
                for loop in loops:
                    tasks.create_task(loop.run())
                tasks.create_task(duties.run())
                tasks.create_task(self._watch(loops, link))

    def _sender(self, link: ChainLink, signer: Signer, stores: NodeStores) -> Transactions:
        return Transactions(
            link.client.rpc,
            signer,
            stores.intents(link.client.chain_id, signer.address),
            chain_id=link.client.chain_id,
            leases=stores.leases,
            holder=holder_name(self._spec),
            policy=TransactionPolicy(confirmations=self._spec.network.safe_depth, lease_s=self._spec.network.lease_s),
            clock=self._context.clock,
        )

    async def _watch(self, loops: list[ReconcileLoop[Any]], link: ChainLink) -> None:
        def moved(_: ChainHead) -> None:
            for loop in loops:
                loop.nudge()

        unsubscribe = link.watcher.subscribe(moved)
        try:
            while True:
                watcher = link.watcher
                seen = chain_condition(watcher.last_look(), watcher.last_error, watcher.endpoints)
                self._context.board.report(seen)
                await asyncio.sleep(1.0)
        finally:
            unsubscribe()

    def _place(self, name: str) -> str:
        remote = self._spec.keys[name].remote
        return "this host" if remote is None else remote.url

    def _used_as(self, name: str) -> list[str]:
        return [field for field, used in self._settings.keys.names.items() if used == name]

    def _closed(self) -> None:
        self._running = None

    def _failed(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        self._context.board.report(Condition(KEYS_IN_USE, Status.FALSE, "NotWorking", text))
