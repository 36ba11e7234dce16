"""The on-chain half of an orchestrator: a view of the chain, a sender of transactions, payments and chain duties."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from livefleet.chain import (
    ChainClient,
    ChainHead,
    ChainWatcher,
    RewardDuty,
    Signer,
    checksum_address,
)
from livefleet.health import Reading
from livefleet.kernel import Address, Wei
from livefleet.payments import (
    PRICE_FEED_FRESH,
    BrokerRedemption,
    HandOver,
    OnchainPayments,
    RecoveryPool,
    Redeemer,
    SenderMonitor,
    SharedFloat,
    SqliteStore,
    default_redeem_gas,
)
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import HandOverResource, RedemptionResource, RewardResource
from livefleet.roles.base import RoleContext
from livefleet.roles.chain_link import open_link, report_link
from livefleet.roles.own_metrics import (
    own_chain_readings,
    own_price_readings,
    own_reward_readings,
    own_store_readings,
)
from livefleet.roles.prices import LivePrices, open_prices
from livefleet.roles.reference_metrics import gas_readings, reward_readings
from livefleet.spec import NodeSpec
from livefleet.wire.redeemer import RedeemerClient

__all__ = ["ChainSide", "open_chain_side"]


@dataclass(frozen=True, slots=True)
class ChainSide:
    """What the role uses of it."""

    watcher: ChainWatcher
    store: SqliteStore
    payments: OnchainPayments
    prices: LivePrices
    loops: tuple[ReconcileLoop[Any], ...]
    client: ChainClient
    reward: RewardResource | None = None
    redeemer: Redeemer | None = None

    def readings(self, spec: NodeSpec, now: float) -> list[Reading]:
        """For /metrics, at `now` in unix seconds; what payments tell of themselves is not among it."""
        head = self.watcher.head()
        rewarding = self.reward
        return [
            *gas_readings(head, spec.duties.redemption),
            *(reward_readings(rewarding.failures) if rewarding else ()),
            *own_chain_readings(head, self.client.rpc.endpoints, now),
            *own_store_readings(self.store),
            *own_price_readings(self.prices.gas_price(), self.prices.keeper.rate, now),
            *(own_reward_readings(rewarding.calls) if rewarding else ()),
        ]

    async def run(self, context: RoleContext) -> None:
        """Keep the duties going, say whether the chain is seen and payments reach the disk; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for loop in self.loops:
                tasks.create_task(loop.run())
            tasks.create_task(self.prices.run())
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
async def open_chain_side(context: RoleContext, signer: Signer, store: SqliteStore) -> AsyncIterator[ChainSide]:
    """Connect, look once, and build the payments and the duties that the spec declares."""
    spec, clock = context.spec, context.clock
    settings = spec.orchestrator
    assert settings is not None
    recipient = signer.address if settings.recipient is None else _address(settings.recipient)
    redeem_gas = settings.ticket.redeem_gas or default_redeem_gas(spec.network.name)
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(open_link(context, signer, recipient, store))
        client, watcher, transactions = link.client, link.watcher, link.transactions
        prices = await open_prices(context, client, watcher)
        stack.callback(context.board.withdraw, PRICE_FEED_FRESH)
        monitor, shared = SenderMonitor(watcher), None
        if settings.redeemer is not None:
            shared = await stack.enter_async_context(RedeemerClient(settings.redeemer))
            monitor = SharedFloat(watcher, shared)
        payments = await stack.enter_async_context(
            OnchainPayments(
                store,
                watcher,
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
        rewarding, redeemer = None, None
        if (reward := spec.duties.reward) is not None:
            duty = RewardDuty(
                client,
                transactions,
                recipient,
                initialize_rounds=reward.initialize_round,
                initialize_within_s=min(30.0, 2.5 * spec.network.l1_block_s),
                rng=random.SystemRandom(),
            )
            rewarding = RewardResource(duty, every_s=reward.check_every_s)
            loops.append(ReconcileLoop(rewarding, context.board))
        if shared is not None:
            hand_over = HandOver(store, watcher, shared, client.broker.is_used, clock=clock)
            loops.append(ReconcileLoop(HandOverResource(store, hand_over), context.board))
        elif (redemption := spec.duties.redemption) is not None:
            redeemer = Redeemer(
                store,
                watcher,
                BrokerRedemption(client.broker, transactions, recipient=recipient),
                monitor,
                redeem_gas=redeem_gas,
                clock=clock,
                max_gas_price=Wei(redemption.max_gas_price),
            )
            resource = RedemptionResource(store, redeemer, every_s=redemption.check_every_s)
            loops.append(ReconcileLoop(resource, context.board))
        yield ChainSide(watcher, store, payments, prices, tuple(loops), client, rewarding, redeemer)


def _address(text: str) -> Address:
    return checksum_address(bytes.fromhex(text[2:]))
