"""The role redeemer: redeems the winning tickets of orchestrators that share a recipient. It serves no gateway."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from livefleet.chain import ChainHead, Signer, checksum_address
from livefleet.health import Reading
from livefleet.kernel import Condition, Status, run_duty
from livefleet.payments import PoolPlaceReader, RedeemerDesk, TicketState, TicketStore
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import DepartureResource, NothingQuoted
from livefleet.roles.base import (
    NeverEmptied,
    RoleContext,
    close_signer,
    open_signer,
    private_folder,
    signer_loops,
)
from livefleet.roles.chain_duties import ChainDuties, open_chain_duties
from livefleet.roles.chain_link import CHAIN_REACHABLE, PAYMENTS_DURABLE, ChainLink, open_link, report_link
from livefleet.roles.chain_report import chain_part, own_chain_readings
from livefleet.roles.own_metrics import own_redeemer_readings, own_store_readings
from livefleet.roles.redeeming import Redeeming, open_redeeming
from livefleet.roles.redemption_report import redemption_part, redemption_state_readings
from livefleet.roles.reference_metrics import gas_readings, redemption_readings
from livefleet.roles.stores import open_stores
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
        self._store: TicketStore | None = None
        self._redeeming: Redeeming | None = None
        self._duties: ChainDuties | None = None
        self._server: RedeemerServer | None = None
        self._link: ChainLink | None = None

    async def __aenter__(self) -> Self:
        self._signer = await open_signer(self._spec, self._settings.key)
        for folder in (self._spec.paths.state, self._spec.paths.run):
            private_folder(folder)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await close_signer(self._signer)
        self._signer = None

    async def run(self) -> None:
        """Take and redeem tickets; what cannot be reached yet (the chain, a port) is tried again."""
        await run_duty("redeemer", self._serve, on_failure=self._failed)

    def take_over(self, spec: NodeSpec) -> None:
        """Redeem by the duty's limits and keep on chain what is declared now. Raises BadInput, and nothing changed."""
        begin = None if self._duties is None else self._duties.prepare(spec)
        self._spec = spec
        self._context = replace(self._context, spec=spec)
        if self._redeeming is not None:
            self._redeeming.go_by(spec.duties.redemption or RedemptionDuty(), l1_block_s=spec.network.l1_block_s)
        if begin is not None:
            begin()

    def parts(self) -> Mapping[str, Any]:
        """Tickets through their life, in wei, and the chain as it is seen."""
        if self._redeeming is None or self._store is None or self._server is None or self._link is None:
            return {}
        totals = self._redeeming.winners.totals
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
                "standing_by": self._redeeming.turn.standing_by if self._redeeming.turn else "",
            },
            "redemption": redemption_part(self._redeeming.redeemer, l1_block_s=self._spec.network.l1_block_s),
            "chain": chain_part(self._link.watcher),
        }

    def readings(self) -> list[Reading]:
        """The same for /metrics."""
        if self._redeeming is None or self._store is None or self._server is None or self._link is None:
            return []
        totals, head = self._redeeming.winners.totals, self._link.watcher.head()
        per_stream = self._spec.monitoring.metrics_per_stream
        return [
            *gas_readings(head, self._spec.duties.redemption),
            *redemption_readings(totals.of(TicketState.REDEEMED), self._redeeming.redeemer, per_stream=per_stream),
            *own_redeemer_readings(totals, self._server),
            *redemption_state_readings(self._redeeming.redeemer, l1_block_s=self._spec.network.l1_block_s),
            *own_chain_readings(self._link.watcher),
            *own_store_readings(self._store),
            *(self._duties.readings() if self._duties is not None else ()),
        ]

    async def _serve(self) -> None:
        spec, context, settings = self._spec, self._context, self._settings
        assert self._signer is not None
        named = settings.recipient
        recipient = self._signer.address if named is None else checksum_address(bytes.fromhex(named[2:]))
        duty = spec.duties.redemption or RedemptionDuty()
        async with AsyncExitStack() as stack:
            stack.callback(self._closed)
            stores = await stack.enter_async_context(open_stores(context))
            store = stores.tickets
            link = await stack.enter_async_context(open_link(context, self._signer, recipient, stores))
            monitor = await stack.enter_async_context(stores.monitor(link.watcher, recipient))
            leaving = DepartureResource(
                link.watcher.head,
                PoolPlaceReader(link.client, recipient),
                NothingQuoted(),
                in_use=lambda: store.totals.of(TicketState.PENDING).count > 0,
                expect=link.watcher.expect,
            )
            redeeming = await stack.enter_async_context(
                open_redeeming(context, stores, link, recipient, monitor, duty, leaving=leaving)
            )
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
            self._store, self._link, self._redeeming = store, link, redeeming
            self._duties = open_chain_duties(context, link, recipient, {settings.key: link.transactions})
            log.info("redeemer.serving", extra={"listen": settings.listen, "recipient": recipient})
            loops = (
                ReconcileLoop(leaving, context.board),
                redeeming.loop,
                *signer_loops(context, {settings.key: self._signer}),
            )
            async with asyncio.TaskGroup() as tasks:
                for loop in loops:
                    tasks.create_task(loop.run())
                tasks.create_task(self._watch(loops, link, store))
                tasks.create_task(self._duties.run())

    async def _watch(self, loops: Sequence[ReconcileLoop[Any]], link: ChainLink, store: TicketStore) -> None:
        def moved(_: ChainHead) -> None:
            for loop in loops:
                loop.nudge()

        unsubscribe = link.watcher.subscribe(moved)
        try:
            while True:
                report_link(self._context, link.watcher, store)
                await asyncio.sleep(1.0)
        finally:
            unsubscribe()

    def _closed(self) -> None:
        self._server = self._store = self._link = self._redeeming = self._duties = None

    def _failed(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        self._context.board.report(Condition(REDEEMER_OPEN, Status.FALSE, "NotServing", text))
