"""The on-chain half of an orchestrator: a view of the chain, a sender of transactions, payments and chain duties."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from livefleet.chain import ChainHead, ChainWatcher, RewardDuty, Signer, Transactions, checksum_address, connect
from livefleet.kernel import Address, Condition, LivefleetError, Status, Wei
from livefleet.payments import (
    PRICE_FEED_FRESH,
    BrokerRedemption,
    OnchainPayments,
    Redeemer,
    SenderMonitor,
    SqliteStore,
    default_redeem_gas,
)
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import RedemptionResource, RewardResource
from livefleet.roles.base import RoleContext
from livefleet.roles.prices import LivePrices, open_prices

__all__ = ["CHAIN_REACHABLE", "PAYMENTS_DURABLE", "ChainSide", "open_chain_side"]

CHAIN_REACHABLE = "ChainReachable"
PAYMENTS_DURABLE = "PaymentsDurable"

_TOO_OLD_S = 120.0  # without a look for this long, ticket expiry can no longer be told


@dataclass(frozen=True, slots=True)
class ChainSide:
    """What the role uses of it."""

    watcher: ChainWatcher
    store: SqliteStore
    payments: OnchainPayments
    prices: LivePrices
    loops: tuple[ReconcileLoop[Any], ...]

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
                context.board.report(chain_condition(self.watcher.head(), context.clock.now(), self.watcher.last_error))
                context.board.report(payments_condition(self.store.fault))
                self.prices.report(context.board)
                await asyncio.sleep(1.0)
        finally:
            unsubscribe()


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


@asynccontextmanager
async def open_chain_side(context: RoleContext, signer: Signer, store: SqliteStore) -> AsyncIterator[ChainSide]:
    """Connect, look once, and build the payments and the duties that the spec declares."""
    spec, clock = context.spec, context.clock
    settings = spec.orchestrator
    assert settings is not None
    recipient = signer.address if settings.recipient is None else _address(settings.recipient)
    redeem_gas = settings.ticket.redeem_gas or default_redeem_gas(spec.network.name)
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
        prices = await open_prices(context, client, watcher)
        stack.callback(context.board.withdraw, PRICE_FEED_FRESH)
        monitor = SenderMonitor(watcher)
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
            )
        )
        prices.keeper.subscribe(payments.set_prices)
        loops: list[ReconcileLoop[Any]] = []
        if (reward := spec.duties.reward) is not None:
            duty = RewardDuty(
                client,
                transactions,
                recipient,
                initialize_rounds=reward.initialize_round,
                initialize_within_s=min(30.0, 2.5 * spec.network.l1_block_s),
                rng=random.SystemRandom(),
            )
            loops.append(ReconcileLoop(RewardResource(duty, every_s=reward.check_every_s), context.board))
        if (redemption := spec.duties.redemption) is not None:
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
        yield ChainSide(watcher, store, payments, prices, tuple(loops))


def _address(text: str) -> Address:
    return checksum_address(bytes.fromhex(text[2:]))
