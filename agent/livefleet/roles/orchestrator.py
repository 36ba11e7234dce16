"""The role orchestrator: faces gateways, is paid, and does or hands out the work."""

import asyncio
import logging
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from livefleet.chain import Signer, checksum_address
from livefleet.health import Reading
from livefleet.kernel import Address, BadInput, Condition, Intake, Status, run_duty
from livefleet.media import LocalTranscoder
from livefleet.payments import ModelAccounts, OffchainPayments, Payments, PaymentsSnapshot
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import DrainTarget, Remaining, SmokeResource, intake_with
from livefleet.roles.base import RoleContext, close_signer, open_signer, private_folder, read_secret
from livefleet.roles.chain_link import CHAIN_REACHABLE, PAYMENTS_DURABLE
from livefleet.roles.chain_report import chain_part
from livefleet.roles.chain_side import ChainSide, open_chain_side
from livefleet.roles.live_secrets import SecretWatch, certificate_of, worker_secrets_of
from livefleet.roles.model_accounts import model_account_readings, model_accounts_part, open_model_accounts
from livefleet.roles.model_metrics import model_runners_part, own_model_readings
from livefleet.roles.models import LocalModels, forget_models, open_models, warm_models
from livefleet.roles.own_metrics import (
    own_device_readings,
    own_payment_readings,
    own_server_readings,
)
from livefleet.roles.redemption_report import redemption_part
from livefleet.roles.reference_metrics import (
    ai_readings,
    model_readings,
    payment_readings,
    received_readings,
    redemption_readings,
    server_readings,
    transcoded_readings,
)
from livefleet.roles.report import load_part, payments_part, server_part, smoke_part
from livefleet.roles.stores import NodeStores, open_stores
from livefleet.roles.transcoding import limit_sessions, open_transcoder, work_by_device
from livefleet.spec import NodeSpec
from livefleet.wire import CertificateFiles, CertificateUnusable, FrontDoorClosed
from livefleet.wire.server import FRONT_DOOR_OPEN, OrchestratorServer, WorkerSecrets
from livefleet.wire.storage import ObjectStore, open_store

__all__ = ["OrchestratorRole"]

log = logging.getLogger(__name__)

# Shares of the time to stop in: for streams to end by themselves, then for what was taken, and for closing down.
_RUN_ON = 0.35
_DRAIN = 0.3
_PUT_RIGHT = "put right what it names; where the node does not go on by itself, `systemctl restart livefleet`"


class OrchestratorRole:
    """Key and secrets are read at once, so that a wrong file stops the start; the rest comes up with retries."""

    def __init__(self, context: RoleContext) -> None:
        spec = context.spec
        assert spec.orchestrator is not None  # NodeSpec's own rule
        self._context = context
        self._spec = spec
        self._settings = spec.orchestrator
        self._signer: Signer | None = None
        self._worker_secrets: WorkerSecrets | None = None
        self._certificate: CertificateFiles | None = None
        self._secret_watch = SecretWatch(lambda: self._spec, self._reread, context.board)
        self._object_store: ObjectStore | None = None
        self._auth_webhook: str | None = self._settings.auth_webhook
        self._server: OrchestratorServer | None = None
        self._payments: Payments | None = None
        self._ai: LocalModels | None = None
        self._accounts: ModelAccounts | None = None
        self._chain: ChainSide | None = None
        self._transcoder: LocalTranscoder | None = None
        self._target = DrainTarget()
        self._only_for: Address | None = None
        self._driver = ""  # NVIDIA's, as it answered last
        self._smoke = SmokeResource(
            spec.paths.state,
            account=self._settings.smoke_account,
            release=context.release,
            driver=self._driver_now,
            offer_to=self._offer_to,
        )
        self._smoke_loop = ReconcileLoop(self._smoke, context.board)
        self.required: tuple[str, ...] = (
            FRONT_DOOR_OPEN,
            *((CHAIN_REACHABLE, PAYMENTS_DURABLE) if spec.network.on_chain else ()),
            *(("TranscoderReady",) if spec.duties.transcoding else ()),
            *warm_models(spec),
        )

    async def __aenter__(self) -> Self:
        if self._spec.network.on_chain:
            if self._settings.key is None:
                raise BadInput("node.yaml: orchestrator.key is needed on-chain: the name of a key under `keys`")
            self._signer = await open_signer(self._spec, self._settings.key)
        self._worker_secrets = worker_secrets_of(self._spec, self._settings)
        self._certificate = certificate_of(self._spec, self._settings)
        if (store := self._settings.object_store) is not None:
            self._object_store = open_store(store, read_secret(self._spec, store.secret))
        if self._settings.auth_webhook_secret is not None:
            self._auth_webhook = read_secret(self._spec, self._settings.auth_webhook_secret)
        for folder in (self._spec.paths.state, self._spec.paths.run):
            private_folder(folder)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await close_signer(self._signer)
        self._signer = None

    async def run(self) -> None:
        """Serve; what cannot be reached yet (the chain, a port) is tried again."""
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._secret_watch.run(), name="secret-watch")
            await run_duty("orchestrator", self._serve, on_failure=self._failed)
            watch.cancel()

    def take_over(self, spec: NodeSpec) -> None:
        """Quote, take streams and workers, do the duties on chain by `spec`.

        Raises BadInput, and nothing has changed.
        """
        assert spec.orchestrator is not None  # NodeSpec's own rule
        door = worker_secrets_of(spec, spec.orchestrator), certificate_of(spec, spec.orchestrator)
        begin = None if self._chain is None else self._chain.prepare(spec)
        self._go_by(*door)
        self._spec, self._settings = spec, spec.orchestrator
        self._context = replace(self._context, spec=spec)
        if begin is not None:
            begin()
        if self._transcoder is not None and (duty := spec.duties.transcoding) is not None:
            limit_sessions(self._context, self._transcoder, duty)
        if self._server is not None:
            local_sessions = None if self._transcoder is None else self._transcoder.capacity
            self._server.limit(self._settings.max_sessions, local_sessions=local_sessions)
        self._smoke.go_by(self._settings.smoke_account)
        self._smoke_loop.nudge()

    def drain(self, target: DrainTarget) -> None:
        """Go by `target`, also after a retry."""
        self._target = target
        if self._transcoder is not None:
            self._transcoder.empty(target.devices)
            if self._server is not None:
                self._server.limit(self._settings.max_sessions, local_sessions=self._transcoder.capacity)
        if self._server is not None:
            self._take(self._server)

    def remaining(self) -> Remaining:
        """Open sessions, here and at workers; segments and images in flight."""
        server = self._server
        return Remaining() if server is None else Remaining(server.snapshot().sessions, server.in_flight)

    def remaining_on(self) -> Mapping[str, Remaining]:
        """The same by device of this machine."""
        return {} if self._transcoder is None else work_by_device(self._transcoder)

    def relies_on_devices(self) -> bool:
        """Without workers and models the devices are all that it works with."""
        return self._worker_secrets is None and self._spec.duties.ai is None

    def _reread(self) -> None:
        self._go_by(worker_secrets_of(self._spec, self._settings), self._certificate)

    def _go_by(self, secrets: WorkerSecrets | None, certificate: CertificateFiles | None) -> None:
        """Raises BadInput, and nothing has changed."""
        if self._server is not None:
            try:
                self._server.go_by(secrets, certificate)
            except CertificateUnusable as error:
                raise BadInput(str(error)) from error
        self._worker_secrets, self._certificate = secrets, certificate

    def _driver_now(self) -> str | None:
        """A driver that has stopped to answer has not become another one. None: nobody has looked yet."""
        seen = self._context.sampler.latest
        if seen is None:
            return None
        self._driver = seen.driver_version or self._driver
        return self._driver

    def _offer_to(self, account: str | None) -> None:
        """Also after a retry."""
        self._only_for = None if account is None else checksum_address(bytes.fromhex(account[2:]))
        if self._server is not None:
            self._server.offer_to(self._only_for)

    def _take(self, server: OrchestratorServer) -> None:
        devices = self.remaining_on().keys()
        is_closed = bool(devices) and self._target.closed_devices.issuperset(devices)
        server.take(self._intake(), local_is_closed=is_closed)

    def _intake(self) -> Intake:
        return intake_with(self._target, self.remaining_on().keys(), relies_on_devices=self.relies_on_devices())

    def parts(self) -> Mapping[str, Any]:
        """Server, payments, models and chain as they are now."""
        parts: dict[str, Any] = {}
        if self._server is not None:
            parts["server"] = server_part(self._server.snapshot())
        if self._settings.smoke_account is not None:
            parts["smoke"] = smoke_part(self._smoke.look())
        if self._payments is not None:
            parts["payments"] = payments_part(self._payments.snapshot())
        if self._transcoder is not None:
            parts["load"] = load_part(self._transcoder)
        if self._ai is not None:
            parts["models"] = [asdict(model) for model in self._ai.pool.advertised()]
            parts["model_runners"] = model_runners_part(self._ai.pool.snapshot())
        if self._accounts is not None:
            parts["model_accounts"] = model_accounts_part(self._accounts)
        if self._chain is not None:
            parts["chain"] = chain_part(self._chain.watcher)
            if (redeemer := self._chain.redeemer) is not None:
                parts["redemption"] = redemption_part(redeemer, l1_block_s=self._spec.network.l1_block_s)
            parts["prices"] = self._chain.prices.part()
            parts["proposals"] = self._chain.duties.part()
        return parts

    def readings(self) -> list[Reading]:
        """The same for /metrics."""
        found: list[Reading] = []
        if self._server is not None:
            found += self._server_readings(self._server)
        if self._ai is not None:
            found += own_model_readings(self._ai.pool.snapshot())
        if self._accounts is not None:
            found += model_account_readings(self._accounts.snapshot())
        if self._transcoder is not None:
            found += own_device_readings(self._transcoder)
        if self._payments is not None:
            found += self._payment_readings(self._payments.snapshot())
        if self._chain is not None:
            found += self._chain.readings(self._spec, self._context.clock.now())
        return found

    def _server_readings(self, server: OrchestratorServer) -> list[Reading]:
        now, counters = server.snapshot(), server.counters
        per_stream = self._spec.monitoring.metrics_per_stream
        return [
            *server_readings(now, counters, per_stream=per_stream),
            *received_readings(counters.work, per_stream=per_stream),
            *transcoded_readings(counters.work),
            *ai_readings(counters.ai),
            *(model_readings(self._ai.pool.advertised(), self._ai.idle_gpus) if self._ai is not None else ()),
            *own_server_readings(now, counters),
        ]

    def _payment_readings(self, now: PaymentsSnapshot) -> list[Reading]:
        chain, per_stream = self._chain, self._spec.monitoring.metrics_per_stream
        return [
            *payment_readings(now, None if chain is None else chain.payments.counters, per_stream=per_stream),
            *redemption_readings(now.redeemed, None if chain is None else chain.redeemer, per_stream=per_stream),
            *own_payment_readings(now),
        ]

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            stack.callback(self._parted)
            stores = await stack.enter_async_context(open_stores(self._context))
            if self._signer is None:
                self._payments = OffchainPayments()
                await self._work(stores, self._payments)
                return
            chain = await stack.enter_async_context(open_chain_side(self._context, self._signer, stores))
            self._chain, self._payments = chain, chain.payments
            # Rewards and tickets wait for no device and no port, and what ails these takes nothing from them.
            work = partial(self._work, stores, chain.payments)
            async with asyncio.TaskGroup() as group:
                group.create_task(chain.run(self._context), name="chain")
                await run_duty("work", work, on_failure=self._failed)

    async def _work(self, stores: NodeStores, payments: Payments) -> None:
        """Serve gateways and workers, until cancelled."""
        spec, context, paths = self._spec, self._context, self._spec.paths
        transcoding = spec.duties.transcoding
        async with AsyncExitStack() as stack:
            stack.callback(self._closed)
            if spec.duties.ai is not None or self._worker_secrets is not None:
                self._accounts = await stack.enter_async_context(open_model_accounts(context))
            if spec.duties.ai is not None:
                self._ai = await open_models(context, spec.duties.ai, self._accounts)
                await stack.enter_async_context(self._ai)
            transcoder = None
            if transcoding is not None:
                transcoder = await stack.enter_async_context(open_transcoder(context, transcoding, paths.run / "media"))
                transcoder.empty(self._target.devices)
            self._transcoder = transcoder
            await self._smoke_loop.once()  # a node that is not proven is withheld before its door opens
            server = OrchestratorServer(
                self._settings,
                payments=payments,
                signer=self._signer,
                auth_secret=await stores.tickets.secret("auth-token"),
                state_dir=paths.state,
                run_dir=paths.run,
                board=context.board,
                clock=context.clock,
                rng=random.SystemRandom(),
                transcoder=transcoder,
                local_sessions=transcoder.capacity if transcoder else 0,
                worker_secret=self._worker_secrets,
                certificate=self._certificate,
                auth_webhook=self._auth_webhook,
                object_store=self._object_store,
                ai=None if self._ai is None else self._ai.pool,
                ai_hardware=tuple if self._ai is None else self._ai.hardware,
                accounts=self._accounts,
                intake=self._intake(),
                run_on_s=spec.service.stop_timeout_s * _RUN_ON,
                drain_s=spec.service.stop_timeout_s * _DRAIN,
            )
            server.offer_to(self._only_for)
            self._server = await stack.enter_async_context(server)
            self._take(self._server)
            log.info("orchestrator.serving", extra={"service_uri": self._settings.service_uri})
            await self._smoke_loop.run()

    def _closed(self) -> None:
        """Nothing is served any more; what was said of models does not hold either."""
        self._server = self._ai = self._transcoder = self._accounts = None
        forget_models(self._context.board)

    def _parted(self) -> None:
        """No payments are taken any more, and nothing is done on chain."""
        self._payments = self._chain = None

    def _failed(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        advice = "" if isinstance(error, FrontDoorClosed) else _PUT_RIGHT
        self._context.board.report(Condition(FRONT_DOOR_OPEN, Status.FALSE, "NotServing", text, advice=advice))
