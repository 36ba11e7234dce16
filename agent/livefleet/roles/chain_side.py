"""The on-chain half of an orchestrator: a view of the chain, a sender of transactions, payments and chain duties."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from livefleet.chain import (
    ChainClient,
    ChainHead,
    ChainWatcher,
    Reckoning,
    Signer,
    checksum_address,
)
from livefleet.health import Reading
from livefleet.kernel import Address
from livefleet.payments import (
    PRICE_FEED_FRESH,
    HandOver,
    OnchainPayments,
    PoolPlaceReader,
    RecoveryPool,
    Redeemer,
    RedemptionReport,
    SenderMonitor,
    SharedFloat,
    TicketState,
    TicketStore,
    Winners,
    default_redeem_gas,
    redeemed_first,
)
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import DepartureResource, HandOverResource, SharedWinnersResource
from livefleet.roles.base import RoleContext, signer_loops
from livefleet.roles.bookkeeping import Bookkeeping, open_bookkeeping
from livefleet.roles.chain_duties import ChainDuties, open_chain_duties
from livefleet.roles.chain_link import open_link, report_link
from livefleet.roles.chain_report import own_chain_readings
from livefleet.roles.own_metrics import (
    own_price_readings,
    own_store_readings,
)
from livefleet.roles.prices import LivePrices, open_prices
from livefleet.roles.redeeming import Redeeming, open_redeeming
from livefleet.roles.redemption_report import redemption_state_readings
from livefleet.roles.reference_metrics import gas_readings
from livefleet.roles.rewarding import Rewarding, open_rewarding
from livefleet.roles.stores import NodeStores, SharedStores
from livefleet.spec import NodeSpec
from livefleet.wire.redeemer import RedeemerClient

__all__ = ["ChainSide", "open_chain_side"]


@dataclass(frozen=True, slots=True)
class ChainSide:
    """What the role uses of it."""

    watcher: ChainWatcher
    store: TicketStore
    payments: OnchainPayments
    prices: LivePrices
    loops: tuple[ReconcileLoop[Any], ...]
    client: ChainClient
    duties: ChainDuties
    reward: Rewarding | None = None
    redeeming: Redeeming | None = None
    books: Bookkeeping = field(default_factory=Bookkeeping)

    @property
    def redeemer(self) -> Redeemer | None:
        """None where this node does not redeem."""
        return None if self.redeeming is None else self.redeeming.redeemer

    def readings(self, spec: NodeSpec, now: float) -> list[Reading]:
        """For /metrics, at `now` in unix seconds; what payments tell of themselves is not among it."""
        head = self.watcher.head()
        rewarding = self.reward
        return [
            *gas_readings(head, spec.duties.redemption),
            *(rewarding.readings() if rewarding else ()),
            *(redemption_state_readings(self.redeemer, l1_block_s=spec.network.l1_block_s) if self.redeemer else ()),
            *own_chain_readings(self.watcher),
            *own_store_readings(self.store),
            *own_price_readings(self.prices.gas_price(), self.prices.keeper.rate, now),
            *self.duties.readings(),
            *self.books.readings(),
        ]

    def prepare(self, spec: NodeSpec) -> Callable[[], None]:
        """What has prices, limits and declarations of `spec` go into force at once, without fail.

        Raises BadInput where that cannot be.
        """
        begin = self.duties.prepare(spec)
        quote = self.prices.keeper.prepare(spec)

        def go() -> None:
            quote()
            begin()
            if self.reward is not None:
                self.reward.go_by(spec)
            if self.redeeming is not None and (duty := spec.duties.redemption) is not None:
                self.redeeming.go_by(duty, l1_block_s=spec.network.l1_block_s)

        return go

    async def run(self, context: RoleContext) -> None:
        """Keep the duties going, say whether the chain is seen and payments reach the disk; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for loop in self.loops:
                tasks.create_task(loop.run())
            tasks.create_task(self.prices.run())
            tasks.create_task(self.duties.run())
            tasks.create_task(self._watch(context))

    async def _watch(self, context: RoleContext) -> None:
        def moved(_: ChainHead) -> None:
            for loop in self.loops:
                loop.nudge()

        unsubscribe = self.watcher.subscribe(moved)
        try:
            while True:
                report_link(context, self.watcher, self.store)
                self.prices.report(context.board)
                await asyncio.sleep(1.0)
        finally:
            unsubscribe()


@asynccontextmanager
async def open_chain_side(context: RoleContext, signer: Signer, stores: NodeStores) -> AsyncIterator[ChainSide]:
    """Connect, look once, and build the payments and the duties that the spec declares."""
    spec, clock = context.spec, context.clock
    settings = spec.orchestrator
    assert settings is not None
    recipient = signer.address if settings.recipient is None else _address(settings.recipient)
    redeem_gas = settings.ticket.redeem_gas or default_redeem_gas(spec.network.name)
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(open_link(context, signer, recipient, stores))
        client, watcher, transactions = link.client, link.watcher, link.transactions
        prices = await open_prices(context, client, watcher)
        stack.callback(context.board.withdraw, PRICE_FEED_FRESH)
        store, shared = stores.tickets, None
        if settings.redeemer is not None:
            shared = await stack.enter_async_context(RedeemerClient(settings.redeemer))
            monitor: SenderMonitor = SharedFloat(watcher, shared)
        else:
            monitor = await stack.enter_async_context(stores.monitor(watcher, recipient))
        payments = await stack.enter_async_context(
            OnchainPayments(
                store,
                Reckoning(watcher),
                monitor,
                recipient=recipient,
                prices=prices.keeper.prices(),
                ticket=settings.ticket,
                redeem_gas=redeem_gas,
                clock=clock,
                gas_price=prices.gas_price,
                recovery=await stack.enter_async_context(RecoveryPool()),
            )
        )
        prices.keeper.subscribe(payments.set_prices)
        watcher.know(payments.snapshot().senders)
        loops: list[ReconcileLoop[Any]] = []
        rewarding: Rewarding | None = None
        redeeming: Redeeming | None = None
        winners: Winners = store
        leaving = DepartureResource(
            watcher.head,
            PoolPlaceReader(client, recipient),
            payments,
            in_use=lambda: payments.in_use,
            expect=watcher.expect,
            hurry=lambda: rewarding is not None and rewarding.resource.tickets_first,
        )
        loops.append(ReconcileLoop(leaving, context.board))
        if shared is not None:
            validity = await client.broker.ticket_validity_period()
            hand_over = HandOver(store, watcher, shared, client.broker.is_used, clock=clock, validity=validity)
            loops.append(ReconcileLoop(HandOverResource(store, hand_over), context.board))
        elif (redemption := spec.duties.redemption) is not None:
            redeeming = await stack.enter_async_context(
                open_redeeming(
                    context,
                    stores,
                    link,
                    recipient,
                    monitor,
                    redemption,
                    leaving=leaving,
                    closed_before=lambda: payments.closed_before,
                )
            )
            winners = redeeming.winners
            loops.append(redeeming.loop)
        elif isinstance(stores, SharedStores):
            waiting = SharedWinnersResource(store, stores.leases, recipient)
            loops.append(ReconcileLoop(waiting, context.board))
        first = _redeeming_first(winners, None if redeeming is None else redeeming.redeemer)
        if (reward := spec.duties.reward) is not None:
            rewarding = open_rewarding(context, link, recipient, stores, reward, hold=first)
            if redeeming is not None:
                redeeming.redeemer.subscribe(rewarding.loop.nudge)
            loops.append(rewarding.loop)
        assert settings.key is not None  # needed on-chain
        loops += signer_loops(context, {settings.key: signer})
        keys = {settings.key: transactions}
        books = await stack.enter_async_context(open_bookkeeping(context, link, recipient, keys))
        duties = open_chain_duties(context, link, recipient, keys, further=books.loops, first=first)
        yield ChainSide(watcher, store, payments, prices, tuple(loops), client, duties, rewarding, redeeming, books)


def _redeeming_first(winners: Winners, redeemer: Redeemer | None) -> Callable[[], str]:
    """What goes before whatever ends activity in this round; without a redeemer here, others redeem what is pending."""

    def first() -> str:
        last = RedemptionReport() if redeemer is None else redeemer.last
        return redeemed_first(winners.totals.of(TicketState.PENDING).count, last)

    return first


def _address(text: str) -> Address:
    return checksum_address(bytes.fromhex(text[2:]))
