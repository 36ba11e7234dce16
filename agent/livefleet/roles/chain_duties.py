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
from livefleet.spec import FeedSettings, OnChain

__all__ = ["ChainDuties", "open_chain_duties"]


@dataclass(frozen=True, slots=True)
class ChainDuties:
    """The loops, and what to show of them."""

    loops: tuple[ReconcileLoop[Any], ...]
    box: ProposalBox
    gas: GasBalanceResource
    reader: OnChainReader
    watcher: ChainWatcher

    async def run(self) -> None:
        """Keep everything as declared, until cancelled.

        A new round, a newly initialised one and replaced blocks have all of it looked at.
        """
        async with asyncio.TaskGroup() as tasks:
            for loop in self.loops:
                tasks.create_task(loop.run())
            tasks.create_task(self._watch_rounds())

    def part(self) -> list[dict[str, Any]]:
        """Open proposals as their files have them, for /status."""
        return [json.loads(proposal.to_json()) for proposal in self.box.open()]

    def readings(self) -> list[Reading]:
        """For /metrics."""
        return own_gas_readings(self.gas.last, len(self.box.open()))

    async def _watch_rounds(self) -> None:
        def moved(_: ChainHead) -> None:
            self.reader.forget()
            for loop in self.loops:
                loop.nudge()

        unsubscribe = self.watcher.subscribe_rounds(moved)
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
    declared = spec.on_chain or OnChain()
    if declared.orchestrator is not None:
        orchestrator = checksum_address(bytes.fromhex(declared.orchestrator[2:]))
    box = box or ProposalBox(spec.paths.state / "proposals")
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
    box.only([*topics, *(one.duty.topic for one in duties)])
    gas = GasBalanceResource(GasBalances(link.client.rpc, keys, clock=context.clock), declared.gas)
    asking = ReconcileLoop(ProposalsResource(box), context.board)
    box.subscribe(asking.nudge)
    loops += [
        *(ReconcileLoop(OnChainResource(one.duty, hand, condition=one.condition), context.board) for one in duties),
        ReconcileLoop(gas, context.board),
        asking,
        *further,
    ]
    if spec.orchestrator is not None or spec.keykeeper is not None:
        votes = GovernanceResource(link.client, orchestrator, l1_block_s=spec.network.l1_block_s)
        loops.append(ReconcileLoop(votes, context.board))
    if declared.price_feed is not None:
        feed = PriceFeed(link.client.rpc, checksum_address(bytes.fromhex(declared.price_feed[2:])))
        max_age_s = (spec.prices.feed or FeedSettings()).max_age_s
        watched = PriceFeedResource(feed, max_age_s=max_age_s, now=context.clock.now)
        loops.append(ReconcileLoop(watched, context.board))
    return ChainDuties(tuple(loops), box, gas, reader, link.watcher)
