"""The role redeemer: redeems the winning tickets of orchestrators that share a recipient. It serves no gateway."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from livefleet.chain import ChainHead, Signer, checksum_address
from livefleet.health import Reading
from livefleet.kernel import Condition, Status, Wei, run_duty
from livefleet.payments import (
    BrokerRedemption,
    Redeemer,
    RedeemerDesk,
    SenderMonitor,
    SqliteStore,
    TicketState,
    default_redeem_gas,
)
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import RedemptionResource
from livefleet.roles.base import NeverEmptied, RoleContext, load_signer, private_folder
from livefleet.roles.chain_link import CHAIN_REACHABLE, PAYMENTS_DURABLE, ChainLink, open_link, report_link
from livefleet.roles.own_metrics import own_chain_readings, own_redeemer_readings, own_store_readings
from livefleet.roles.reference_metrics import gas_readings, redemption_readings
from livefleet.spec import NodeSpec, RedemptionDuty
from livefleet.wire.redeemer import REDEEMER_OPEN, RedeemerServer
from livefleet.wire.tls import ensure_certificate

__all__ = ["RedeemerRole"]

log = logging.getLogger(__name__)


class RedeemerRole(NeverEmptied):
    """A key that pays for redemptions, a durable queue, and the TicketRedeemer service in front of it.

    Nothing here belongs to a session: tickets stay in the store, and are redeemed after a restart too.
    """

    required: tuple[str, ...] = (REDEEMER_OPEN, CHAIN_REACHABLE, PAYMENTS_DURABLE)

    def __init__(self, context: RoleContext) -> None:
        assert context.spec.redeemer is not None  # NodeSpec's own rule
        self._context = context
        self._spec = context.spec
        self._settings = context.spec.redeemer
        self._signer: Signer | None = None
        self._store: SqliteStore | None = None
        self._server: RedeemerServer | None = None
        self._link: ChainLink | None = None
        self._redeemer: Redeemer | None = None

    async def __aenter__(self) -> Self:
        self._signer = await asyncio.to_thread(load_signer, self._spec, self._settings.key)
        for folder in (self._spec.paths.state, self._spec.paths.run):
            private_folder(folder)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signer = None

    async def run(self) -> None:
        """Take and redeem tickets; what cannot be reached yet (the chain, a port) is tried again."""
        await run_duty("redeemer", self._serve, on_failure=self._failed)

    def reprice(self, spec: NodeSpec) -> None:
        """A redeemer quotes nothing."""

    def parts(self) -> Mapping[str, Any]:
        """Tickets through their life, in wei, and the chain as it is seen."""
        if self._store is None or self._server is None or self._link is None:
            return {}
        totals, head = self._store.totals, self._link.watcher.head()
        return {
            "redeemer": {
                "listen": self._settings.listen,
                "queued": self._server.queued,
                "refused": self._server.refused,
                "floats_followed": self._server.monitors,
                "tickets": {
                    state.value: {"count": totals.of(state).count, "face_value_wei": int(totals.of(state).value)}
                    for state in TicketState
                },
                "paid_wei": totals.paid,
            },
            "chain": {
                "l1_block": head.l1_block,
                "round": head.current_round,
                "pool_size": head.pool_size,
                "gas_price_wei": head.gas_price,
                "seen_at": head.seen_at,
            },
        }

    def readings(self) -> list[Reading]:
        """The same for /metrics."""
        if self._store is None or self._server is None or self._link is None:
            return []
        totals, head = self._store.totals, self._link.watcher.head()
        per_stream = self._spec.monitoring.metrics_per_stream
        return [
            *gas_readings(head, self._spec.duties.redemption),
            *redemption_readings(totals.of(TicketState.REDEEMED), self._redeemer, per_stream=per_stream),
            *own_redeemer_readings(totals, self._server),
            *own_chain_readings(head, self._link.client.rpc.endpoints, self._context.clock.now()),
            *own_store_readings(self._store),
        ]

    async def _serve(self) -> None:
        spec, context, settings = self._spec, self._context, self._settings
        assert self._signer is not None
        named = settings.recipient
        recipient = self._signer.address if named is None else checksum_address(bytes.fromhex(named[2:]))
        duty = spec.duties.redemption or RedemptionDuty()
        async with AsyncExitStack() as stack:
            stack.callback(self._closed)
            store = await stack.enter_async_context(SqliteStore(spec.paths.store))
            link = await stack.enter_async_context(open_link(context, self._signer, recipient, store))
            monitor = SenderMonitor(link.watcher)
            redeemer = Redeemer(
                store,
                link.watcher,
                BrokerRedemption(link.client.broker, link.transactions, recipient=recipient),
                monitor,
                redeem_gas=default_redeem_gas(spec.network.name),
                clock=context.clock,
                max_gas_price=Wei(duty.max_gas_price),
            )
            loop = ReconcileLoop(RedemptionResource(store, redeemer, every_s=duty.check_every_s), context.board)
            desk = RedeemerDesk(
                store,
                monitor,
                recipient=recipient,
                clock=context.clock,
                subscribe_chain=lambda changed: link.watcher.subscribe(lambda _: changed()),
            )
            host = settings.listen.rpartition(":")[0].strip("[]")
            certificate = ensure_certificate(spec.paths.state / "tls", host, context.clock)
            self._server = await stack.enter_async_context(
                RedeemerServer(desk, listen=settings.listen, certificate=certificate, board=context.board)
            )
            self._store, self._link, self._redeemer = store, link, redeemer
            log.info("redeemer.serving", extra={"listen": settings.listen, "recipient": recipient})
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(loop.run())
                tasks.create_task(self._watch(loop, link, store))

    async def _watch(self, loop: ReconcileLoop[Any], link: ChainLink, store: SqliteStore) -> None:
        def moved(_: ChainHead) -> None:
            loop.nudge()

        unsubscribe = link.watcher.subscribe(moved)
        try:
            while True:
                report_link(self._context, link.watcher, store)
                await asyncio.sleep(1.0)
        finally:
            unsubscribe()

    def _closed(self) -> None:
        self._server = self._store = self._link = self._redeemer = None

    def _failed(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        self._context.board.report(Condition(REDEEMER_OPEN, Status.FALSE, "NotServing", text))
