"""The role orchestrator: faces gateways, is paid, and does or hands out the work."""

import asyncio
import logging
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from livefleet.ai import AiPool
from livefleet.chain import ChainWatcher, Signer, Transactions, connect
from livefleet.health import Reading
from livefleet.kernel import BadInput, run_duty
from livefleet.payments import OffchainPayments, Payments, SqliteStore
from livefleet.reconcile import ReconcileLoop
from livefleet.roles.base import RoleContext, load_signer, private_folder, read_secret
from livefleet.roles.report import payments_part, payments_readings, server_part, server_readings
from livefleet.roles.transcoding import open_transcoder
from livefleet.wire.server import OrchestratorServer

__all__ = ["OrchestratorRole"]

log = logging.getLogger(__name__)


class OrchestratorRole:
    """Key and secrets are read at once, so that a wrong file stops the start; the rest comes up with retries."""

    def __init__(self, context: RoleContext) -> None:
        spec = context.spec
        assert spec.orchestrator is not None  # NodeSpec's own rule
        self._context = context
        self._spec = spec
        self._settings = spec.orchestrator
        self._signer: Signer | None = None
        self._worker_secret: str | None = None
        self._server: OrchestratorServer | None = None
        self._payments: Payments | None = None
        self._ai: AiPool | None = None
        self._watcher: ChainWatcher | None = None
        self.required = (
            "FrontDoorOpen",
            *(("ChainReachable",) if spec.network.on_chain else ()),
            *(("TranscoderReady",) if spec.duties.transcoding else ()),
        )

    async def __aenter__(self) -> Self:
        if self._spec.network.on_chain:
            if self._settings.key is None:
                raise BadInput("node.yaml: orchestrator.key is needed on-chain: the name of a key under `keys`")
            self._signer = load_signer(self._spec, self._settings.key)
        if self._settings.worker_secret is not None:
            self._worker_secret = read_secret(self._spec, self._settings.worker_secret)
        for folder in (self._spec.paths.state, self._spec.paths.run):
            private_folder(folder)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signer = None

    async def run(self) -> None:
        """Serve; what cannot be reached yet (the chain, a port) is tried again."""
        await run_duty("orchestrator", self._serve, on_failure=self._failed)

    def parts(self) -> Mapping[str, Any]:
        """Server, payments, models and chain as they are now."""
        parts: dict[str, Any] = {}
        if self._server is not None:
            parts["server"] = server_part(self._server.snapshot())
        if self._payments is not None:
            parts["payments"] = payments_part(self._payments.snapshot())
        if self._ai is not None:
            parts["models"] = [
                {name: getattr(model, name) for name in model.__dataclass_fields__} for model in self._ai.advertised()
            ]
        if self._watcher is not None and self._watcher.last_error is None:
            head = self._watcher.head()
            parts["chain"] = {
                "l1_block": head.l1_block,
                "round": head.current_round,
                "round_initialized": head.round_is_initialized,
                "pool_size": head.pool_size,
                "gas_price_wei": head.gas_price,
            }
        return parts

    def readings(self) -> list[Reading]:
        """The same for /metrics."""
        found: list[Reading] = []
        if self._server is not None:
            found += server_readings(self._server.snapshot())
        if self._payments is not None:
            found += payments_readings(self._payments.snapshot())
        return found

    async def _serve(self) -> None:
        spec, context, paths = self._spec, self._context, self._spec.paths
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(SqliteStore(paths.store))
            loops: list[ReconcileLoop[Any]] = []
            payments = await self._open_payments(stack, store, loops)
            duties = spec.duties
            transcoder = None
            if duties.transcoding is not None:
                transcoder = await stack.enter_async_context(
                    open_transcoder(context, duties.transcoding, paths.run / "media")
                )
            ai = await self._open_ai(stack)
            self._server = await stack.enter_async_context(
                OrchestratorServer(
                    self._settings,
                    payments=payments,
                    signer=self._signer,
                    auth_secret=await store.auth_secret(),
                    state_dir=paths.state,
                    run_dir=paths.run,
                    board=context.board,
                    clock=context.clock,
                    rng=random.SystemRandom(),
                    transcoder=transcoder,
                    local_sessions=duties.transcoding.max_sessions if duties.transcoding else 0,
                    worker_secret=self._worker_secret,
                    ai=ai,
                    drain_s=spec.service.stop_timeout_s / 2,
                )
            )
            log.info("orchestrator.serving", extra={"service_uri": self._settings.service_uri})
            async with asyncio.TaskGroup() as tasks:
                for loop in loops:
                    tasks.create_task(loop.run())
                tasks.create_task(asyncio.Event().wait())

    async def _open_payments(
        self, stack: AsyncExitStack, store: SqliteStore, loops: list[ReconcileLoop[Any]]
    ) -> Payments:
        spec = self._spec
        if self._signer is None:
            self._payments = OffchainPayments()
            return self._payments
        client = await stack.enter_async_context(await connect(spec.network))
        recipient = self._recipient(self._signer)
        watcher = await stack.enter_async_context(
            ChainWatcher(
                client, recipient=recipient, poll_s=min(5.0, spec.network.l1_block_s), clock=self._context.clock
            )
        )
        await watcher.look()
        self._watcher = watcher
        transactions = await stack.enter_async_context(
            Transactions(
                client.rpc, self._signer, spec.paths.state / "transactions.sqlite3", chain_id=client.chain_id,
                clock=self._context.clock,
            )
        )  # fmt: skip
        self._payments = await stack.enter_async_context(self._onchain(store, watcher, client, recipient))
        self._add_loops(loops, client, watcher, transactions, store, recipient)
        return self._payments
