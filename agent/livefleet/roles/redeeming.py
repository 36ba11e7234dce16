"""Redeeming as a duty, of an orchestrator for itself or of a redeemer for many; by turns where a database is shared."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from livefleet.kernel import Address
from livefleet.payments import (
    BrokerRedemption,
    Redeemer,
    RedeemingTurn,
    RedemptionChain,
    RedemptionPolicy,
    SenderMonitor,
    TurnTaking,
    Winners,
)
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import DepartureResource, RedemptionResource
from livefleet.roles.base import RoleContext
from livefleet.roles.chain_link import ChainLink
from livefleet.roles.stores import NodeStores, SharedStores, holder_name
from livefleet.spec import RedemptionDuty

__all__ = ["Redeeming", "open_redeeming"]


@dataclass(frozen=True, slots=True)
class Redeeming:
    """What the role uses of it. `turn`: None where nobody else redeems from this store."""

    winners: Winners
    redeemer: Redeemer
    loop: ReconcileLoop[Any]
    turn: RedeemingTurn | None
    resource: RedemptionResource

    def go_by(self, duty: RedemptionDuty, *, l1_block_s: float) -> None:
        """Take the limits of `duty` at once."""
        self.redeemer.go_by(RedemptionPolicy.of(duty, l1_block_s=l1_block_s))
        self.resource.look_every(duty.check_every_s)
        self.loop.nudge()


@asynccontextmanager
async def open_redeeming(
    context: RoleContext,
    stores: NodeStores,
    link: ChainLink,
    recipient: Address,
    monitor: SenderMonitor,
    duty: RedemptionDuty,
    *,
    leaving: DepartureResource,
    closed_before: Callable[[], int] = lambda: 0,
) -> AsyncIterator[Redeeming]:
    """Build the redeemer and its loop; whoever gets it runs the loop.

    `closed_before`: parameters that expire before this L1 block take no tickets any more, for good. Where others share
    the store, theirs count too.
    """
    spec = context.spec
    async with AsyncExitStack() as stack:
        winners: Winners = stores.tickets
        chain: RedemptionChain = BrokerRedemption(link.client, link.transactions)
        turn = None
        if isinstance(stores, SharedStores):
            winners = shared = await stores.tickets.winners_of(recipient)
            closed_before = lambda: shared.closed_before  # noqa: E731 -- in place of the caller's
            turn = await stack.enter_async_context(
                RedeemingTurn(
                    stores.leases, recipient, holder_name(spec), clock=context.clock, ttl_s=spec.network.lease_s
                )
            )
            chain = TurnTaking(chain, turn)
        redeemer = await stack.enter_async_context(
            Redeemer(
                winners,
                link.watcher,
                chain,
                monitor,
                clock=context.clock,
                policy=RedemptionPolicy.of(duty, l1_block_s=spec.network.l1_block_s),
                closed_before=closed_before,
                departure=lambda: leaving.departure,
                expect=link.watcher.expect,
            )
        )
        resource = RedemptionResource(
            winners, redeemer, every_s=duty.check_every_s, l1_block_s=spec.network.l1_block_s, turn=turn
        )
        loop = ReconcileLoop(resource, context.board)
        redeemer.subscribe(loop.nudge)
        leaving.subscribe(loop.nudge)
        if turn is not None:
            turn.subscribe(loop.nudge)
        yield Redeeming(winners, redeemer, loop, turn, resource)
