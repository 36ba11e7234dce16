"""The role orchestrator: faces gateways, is paid, and does or hands out the work."""

import asyncio
import logging
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, Self

from livefleet.ai import MODEL_PLACED, MODEL_WARM, AiPool, WatchLimits, place, placement_conditions
from livefleet.chain import Signer
from livefleet.health import Reading
from livefleet.kernel import BadInput, Condition, Status, run_duty
from livefleet.payments import OffchainPayments, Payments, SqliteStore
from livefleet.roles.base import RoleContext, load_signer, private_folder, read_secret
from livefleet.roles.chain_side import CHAIN_REACHABLE, PAYMENTS_DURABLE, ChainSide, open_chain_side
from livefleet.roles.report import payments_part, payments_readings, server_part, server_readings
from livefleet.roles.transcoding import open_transcoder
from livefleet.spec import AiDuty, NodeSpec
from livefleet.wire.server import FRONT_DOOR_OPEN, OrchestratorServer

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
        self._chain: ChainSide | None = None
        self.required: tuple[str, ...] = (
            FRONT_DOOR_OPEN,
            *((CHAIN_REACHABLE, PAYMENTS_DURABLE) if spec.network.on_chain else ()),
            *(("TranscoderReady",) if spec.duties.transcoding else ()),
            *((MODEL_WARM,) if spec.duties.ai and any(model.warm for model in spec.models) else ()),
        )

    async def __aenter__(self) -> Self:
        if self._spec.network.on_chain:
            if self._settings.key is None:
                raise BadInput("node.yaml: orchestrator.key is needed on-chain: the name of a key under `keys`")
            # A keystore takes a second of computing to open, in which the admin endpoint has to answer.
            self._signer = await asyncio.to_thread(load_signer, self._spec, self._settings.key)
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

    def reprice(self, spec: NodeSpec) -> None:
        """Quote the prices of `spec` from now on, also after a retry. Raises BadInput, and nothing has changed."""
        if self._chain is not None:
            self._chain.prices.keeper.declare(spec)
        self._spec = spec
        self._context = replace(self._context, spec=spec)

    def parts(self) -> Mapping[str, Any]:
        """Server, payments, models and chain as they are now."""
        parts: dict[str, Any] = {}
        if self._server is not None:
            parts["server"] = server_part(self._server.snapshot())
        if self._payments is not None:
            parts["payments"] = payments_part(self._payments.snapshot())
        if self._ai is not None:
            parts["models"] = [asdict(model) for model in self._ai.advertised()]
        if self._chain is not None:
            head = self._chain.watcher.head()
            parts["chain"] = {
                "l1_block": head.l1_block,
                "round": head.current_round,
                "round_initialized": head.round_is_initialized,
                "pool_size": head.pool_size,
                "gas_price_wei": head.gas_price,
                "seen_at": head.seen_at,
            }
            parts["prices"] = self._chain.prices.part()
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
        transcoding = spec.duties.transcoding
        async with AsyncExitStack() as stack:
            stack.callback(self._closed)
            store = await stack.enter_async_context(SqliteStore(paths.store))
            if self._signer is None:
                self._payments = OffchainPayments()
            else:
                self._chain = await stack.enter_async_context(open_chain_side(context, self._signer, store))
                self._payments = self._chain.payments
            if spec.duties.ai is not None:
                self._ai = await stack.enter_async_context(await self._models(spec.duties.ai))
            transcoder = None
            if transcoding is not None:
                transcoder = await stack.enter_async_context(open_transcoder(context, transcoding, paths.run / "media"))
            self._server = await stack.enter_async_context(
                OrchestratorServer(
                    self._settings,
                    payments=self._payments,
                    signer=self._signer,
                    auth_secret=await store.auth_secret(),
                    state_dir=paths.state,
                    run_dir=paths.run,
                    board=context.board,
                    clock=context.clock,
                    rng=random.SystemRandom(),
                    transcoder=transcoder,
                    local_sessions=transcoder.capacity if transcoder else 0,
                    worker_secret=self._worker_secret,
                    ai=self._ai,
                    drain_s=spec.service.stop_timeout_s / 2,
                )
            )
            log.info("orchestrator.serving", extra={"service_uri": self._settings.service_uri})
            if self._chain is not None:
                await self._chain.run(context)
            else:
                await asyncio.Event().wait()

    async def _models(self, duty: AiDuty) -> AiPool:
        spec, context = self._spec, self._context
        snapshot = context.sampler.latest or await context.sampler.sample()
        wanted = spec.gpus
        uuids = [
            g.uuid
            for g in snapshot.gpus
            if g.uuid and g.fault is None and wanted != "none" and (wanted == "all" or g.uuid in wanted)
        ]
        catalogue = place(spec.models, uuids)
        for condition in placement_conditions(catalogue):
            context.board.report(condition)
        return AiPool(
            catalogue.placed,
            run_dir=spec.paths.run / "ai",
            state_folder=spec.paths.state,
            board=context.board,
            rng=random.SystemRandom(),
            request_timeout_s=duty.request_timeout_s,
            limits=WatchLimits(load_timeout_s=duty.load_timeout_s),
        )

    def _closed(self) -> None:
        """Nothing is served any more; what was said of models does not hold either."""
        self._server = self._payments = self._ai = self._chain = None
        for condition in self._context.board.all():
            if condition.name in {MODEL_PLACED, MODEL_WARM}:
                self._context.board.withdraw(condition.name, condition.subject)

    def _failed(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        self._context.board.report(Condition(FRONT_DOOR_OPEN, Status.FALSE, "NotServing", text))
