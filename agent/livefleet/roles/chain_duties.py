"""What a node keeps on chain beside rewards and tickets: declared state, its keys' ETH, what only others may sign."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from livefleet.chain import (
    ChainHead,
    ChainWatcher,
    GasBalances,
    Hand,
    OnChainReader,
    PriceFeed,
    ProposalBox,
    SpendLimit,
    Transactions,
    checksum_address,
    declared_duties,
)
from livefleet.health import Reading
from livefleet.kernel import Address, Wei
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import (
    GasBalanceResource,
    GovernanceResource,
    OnChainResource,
    PriceFeedResource,
    ProposalsResource,
)
from livefleet.roles.base import RoleContext
from livefleet.roles.chain_link import ChainLink
from livefleet.roles.own_metrics import own_gas_readings
from livefleet.spec import FeedSettings, NodeSpec, OnChain

__all__ = ["ChainDuties", "open_chain_duties"]


@dataclass(frozen=True, slots=True)
class _Declared:
    """What one spec has kept going."""

    loops: tuple[ReconcileLoop[Any], ...]
    topics: tuple[str, ...]  # that proposals may be about
    gas: GasBalanceResource
    reader: OnChainReader


class ChainDuties:
    """The loops of what the spec declares, which may change, and what to show of them."""

    def __init__(
        self,
        make: Callable[[NodeSpec], _Declared],
        spec: NodeSpec,
        *,
        box: ProposalBox,
        watcher: ChainWatcher,
        lasting: tuple[ReconcileLoop[Any], ...],
    ) -> None:
        self._make = make
        self._now = make(spec)
        self._box = box
        self._watcher = watcher
        self._lasting = lasting  # whatever is declared
        self._changed = asyncio.Event()

    def prepare(self, spec: NodeSpec) -> Callable[[], None]:
        """What has the declarations of `spec` kept from now on, without fail. Raises BadInput where that cannot be.

        A transaction under way goes on: its intent is on disk, and is joined by whoever wants the same.
        """
        declared = self._make(spec)

        def begin() -> None:
            self._now = declared
            self._changed.set()

        return begin

    async def run(self) -> None:
        """Keep everything as declared, until cancelled.

        A new round, a newly initialised one and replaced blocks have all of it looked at.
        """
        async with asyncio.TaskGroup() as tasks:
            for loop in self._lasting:
                tasks.create_task(loop.run())
            tasks.create_task(self._keep_declared())
            tasks.create_task(self._watch_rounds())

    def part(self) -> list[dict[str, Any]]:
        """Open proposals as their files have them, for /status."""
        return [json.loads(proposal.to_json()) for proposal in self._box.open()]

    def readings(self) -> list[Reading]:
        """For /metrics."""
        return own_gas_readings(self._now.gas.last, len(self._box.open()))

    async def _keep_declared(self) -> None:
        while True:
            self._changed.clear()
            self._box.only(self._now.topics)
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(loop.run()) for loop in self._now.loops]
                await self._changed.wait()
                for task in running:
                    task.cancel()

    async def _watch_rounds(self) -> None:
        def moved(_: ChainHead) -> None:
            self._now.reader.forget()
            for loop in (*self._now.loops, *self._lasting):
                loop.nudge()

        unsubscribe = self._watcher.subscribe_rounds(moved)
        try:
            await asyncio.Event().wait()
        finally:
            unsubscribe()


def open_chain_duties(
    context: RoleContext,
    link: ChainLink,
    orchestrator: Address,
    keys: Mapping[str, Transactions],
    *,
    further: tuple[ReconcileLoop[Any], ...] = (),
    box: ProposalBox | None = None,
    topics: tuple[str, ...] = (),
    first: Callable[[], str] = lambda: "",
) -> ChainDuties:
    """The duties that the spec declares. Raises BadInput.

    Args:
        context: The role's.
        link: Its link to the chain.
        orchestrator: Whose state it is, unless `on_chain.orchestrator` says so.
        keys: The node's hot keys by name. The one that is the orchestrator's own signs; without it all is proposed.
        further: More loops to keep going with these, nudged alike.
        box: Where proposals stand; None makes it.
        topics: What those loops propose about: standing proposals of other topics are withdrawn.
        first: What goes before stake that would end an evicted orchestrator's activity, in words.
    """
    spec = context.spec
    standing = box or ProposalBox(spec.paths.state / "proposals")

    def make(newer: NodeSpec) -> _Declared:
        return _declared(context, newer, link, orchestrator, keys, box=standing, topics=topics, first=first)

    asking = ReconcileLoop(ProposalsResource(standing), context.board)
    duties = ChainDuties(make, spec, box=standing, watcher=link.watcher, lasting=(asking, *further))
    standing.subscribe(asking.nudge)
    return duties


def _declared(
    context: RoleContext,
    spec: NodeSpec,
    link: ChainLink,
    orchestrator: Address,
    keys: Mapping[str, Transactions],
    *,
    box: ProposalBox,
    topics: tuple[str, ...],
    first: Callable[[], str],
) -> _Declared:
    declared = spec.on_chain or OnChain()
    if declared.orchestrator is not None:
        orchestrator = checksum_address(bytes.fromhex(declared.orchestrator[2:]))
    own = next((one for one in keys.values() if one.address == orchestrator), None)
    signer = own if declared.signed_by == "node" else None
    reader, duties = declared_duties(
        spec, link.client, orchestrator, link.watcher.head, signs=signer is not None, clock=context.clock, first=first
    )
    loops: list[ReconcileLoop[Any]] = []

    def sent() -> None:
        reader.forget()
        for loop in loops:
            loop.nudge()

    hand = Hand(
        orchestrator,
        signer,
        box,
        chain_id=link.client.chain_id,
        clock=context.clock,
        limit=SpendLimit(max_gas_price=Wei(declared.max_gas_price)),
        sent=sent,
    )
    gas = GasBalanceResource(GasBalances(link.client.rpc, keys, clock=context.clock), declared.gas)
    loops += [
        *(ReconcileLoop(OnChainResource(one.duty, hand, condition=one.condition), context.board) for one in duties),
        ReconcileLoop(gas, context.board),
    ]
    if spec.orchestrator is not None or spec.keykeeper is not None:
        votes = GovernanceResource(link.client, orchestrator, l1_block_s=spec.network.l1_block_s)
        loops.append(ReconcileLoop(votes, context.board))
    if declared.price_feed is not None:
        feed = PriceFeed(link.client.rpc, checksum_address(bytes.fromhex(declared.price_feed[2:])))
        max_age_s = (spec.prices.feed or FeedSettings()).max_age_s
        watched = PriceFeedResource(feed, max_age_s=max_age_s, now=context.clock.now)
        loops.append(ReconcileLoop(watched, context.board))
    return _Declared(tuple(loops), (*topics, *(one.duty.topic for one in duties)), gas, reader)
