"""The orchestrator's public side, composed."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from livefleet.chain import Signer
from livefleet.kernel import Address, Blocking, Clock, ConditionBoard, Intake, SessionId
from livefleet.payments import ModelAccounts, Payments
from livefleet.spec import OrchestratorSettings
from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.ai_models import Ai
from livefleet.wire.auth import AuthTokens
from livefleet.wire.fetch import FETCH_TIMEOUT_S
from livefleet.wire.messages import SegmentOutcome
from livefleet.wire.server.admission import Admission
from livefleet.wire.server.ai_places import AiPlaces
from livefleet.wire.server.ai_routes import AiService
from livefleet.wire.server.ai_worker_door import AiWorkerDoor
from livefleet.wire.server.ai_worker_pool import AiWorkerPool
from livefleet.wire.server.auth_webhook import WEBHOOK_WAIT_S, AuthWebhook
from livefleet.wire.server.counters import Counters, ServerSnapshot
from livefleet.wire.server.front_door import FrontDoor
from livefleet.wire.server.http_answers import plain
from livefleet.wire.server.offer import Offer
from livefleet.wire.server.orchestrator import OrchestratorService
from livefleet.wire.server.refresh_payment import RefreshPaymentService
from livefleet.wire.server.results import Results
from livefleet.wire.server.segments import SegmentService
from livefleet.wire.server.self_check import SelfCheck
from livefleet.wire.server.sessions import IDLE_S, TranscodingSessions
from livefleet.wire.server.source_memory import SourceMemory
from livefleet.wire.server.sources import Sources
from livefleet.wire.server.stream_store import StreamStore
from livefleet.wire.server.streams import Streams
from livefleet.wire.server.transcoders import Transcoders
from livefleet.wire.server.worker_door import WorkerDoor
from livefleet.wire.server.worker_gate import WorkerGate, WorkerSecrets
from livefleet.wire.server.worker_pool import WorkerPool
from livefleet.wire.storage import AddressRule, ObjectStore, OwnStore, Uploader, careful_client, neighbouring_networks
from livefleet.wire.tls import CertificateFiles, ensure_certificate, service_host
from livefleet.wire.transcoding import LocalTranscoding

__all__ = ["OrchestratorServer"]

_LOOK_S = 0.05


class OrchestratorServer:
    """Everything that gateways and workers see of an orchestrator; serving while entered.

    `signer` and on-chain `payments` come together or not at all. `transcoder` are the local devices, for
    `local_sessions` streams; `worker_secret` (the secret itself, or it and the one before) opens the doors to remote
    workers; either, both or none. `ai` are the local models, which run on `ai_hardware`; `accounts` is told what all
    models, the workers' too, are charged for. `auth_secret` is 32 bytes that the caller persists, so that sessions
    outlive a restart. `rng` makes ids that protect renditions: production passes `random.SystemRandom()`. `certificate`
    None: one is made in `state_dir`, and again before it ends.
    `auth_webhook` is the URL that says which gateways are served; discovery waits `auth_webhook_wait_s` for it. After
    `self_check_s` the node asks itself through its service URI, and says so on the board.
    `intake` is what is taken from the start. `source_bytes` is what all sources together may take of the memory; None:
    a quarter of it.

    Leaving takes no new sessions and lets running streams go on for `run_on_s` at most. Then it takes no new work,
    finishes what was taken for half of `drain_s`, gives peers `fetch_s` to fetch the results, and only then closes the
    door.
    """

    def __init__(
        self,
        settings: OrchestratorSettings,
        *,
        payments: Payments,
        signer: Signer | None,
        auth_secret: bytes,
        state_dir: Path,
        run_dir: Path,
        board: ConditionBoard,
        clock: Clock,
        rng: random.Random,
        transcoder: LocalTranscoding | None = None,
        local_sessions: int = 0,
        worker_secret: str | WorkerSecrets | None = None,
        ai: Ai | None = None,
        ai_hardware: Callable[[], Sequence[ModelHardware]] = tuple,
        accounts: ModelAccounts | None = None,
        certificate: CertificateFiles | None = None,
        auth_webhook: str | None = None,
        auth_webhook_wait_s: float = WEBHOOK_WAIT_S,
        object_store: ObjectStore | None = None,
        self_check_s: float = 2.0,
        intake: Intake = Intake.OPEN,
        run_on_s: float = 0.0,
        drain_s: float = 30.0,
        fetch_s: float = FETCH_TIMEOUT_S,
        idle_s: float = IDLE_S,
        source_bytes: int | None = None,
    ) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._clock = clock
        self._certificate = certificate
        self._counters = Counters()
        self._store = StreamStore(settings.service_uri, clock)
        self._gate = _gate_of(worker_secret, clock, board)
        self._pool = None if self._gate is None else WorkerPool(gate=self._gate, store=self._store, clock=clock)
        self._ai_pool = (
            None
            if self._gate is None
            else AiWorkerPool(gate=self._gate, clock=clock, store=self._store, rng=rng, accounts=accounts)
        )
        models = AiPlaces(local=ai, local_hardware=ai_hardware, pool=self._ai_pool)
        self._transcoders = Transcoders(
            local=transcoder, local_capacity=local_sessions, pool=self._pool, stats=self._counters.work
        )
        self._sessions: TranscodingSessions[SegmentOutcome] = TranscodingSessions(
            settings.max_sessions, self._session_ended, idle_s=idle_s
        )
        self._hashing = Blocking("hashing")
        self._source_memory = SourceMemory(source_bytes)
        self._client, self._peer_stores = _clients(settings)
        self._own_store = None if object_store is None else OwnStore(object_store, board=board, clock=clock)
        self._results = Results(
            memory=self._store, sessions=self._sessions, uploader=Uploader(self._peer_stores), own=self._own_store
        )
        self._streams = Streams(clock)
        self._webhook = None
        if auth_webhook is not None:
            self._webhook = AuthWebhook(
                auth_webhook, clock=clock, took=self._counters.auth_webhook_ms.observe, wait_s=auth_webhook_wait_s
            )
        self._self_check = SelfCheck(settings.service_uri, signer=signer, board=board, rng=rng, first_s=self_check_s)
        self._admission = admission = Admission(
            service_uri="" if settings.discovery_only else settings.service_uri,
            nodes=settings.nodes,
            payments=payments,
            signer=signer,
            tokens=AuthTokens(auth_secret, clock, rng),
            offer=Offer(self._transcoders, models),
            sessions=self._sessions,
            streams=self._streams,
            webhook=self._webhook,
            counters=self._counters,
            store=self._own_store,
        )
        segments = SegmentService(
            admission=admission,
            payments=payments,
            signer=signer,
            sessions=self._sessions,
            store=self._store,
            transcoder=self._transcoders,
            counters=self._counters,
            results=self._results,
            sources=Sources(peers=self._client, own=self._own_store),
            memory=self._source_memory,
            hashing=self._hashing,
            clock=clock,
        )
        routes = [Route("/healthz", _healthz), *segments.routes()]
        routes += RefreshPaymentService(admission=admission, payments=payments).routes()
        discovery = OrchestratorService(
            admission=admission, sessions=self._sessions, signer=signer, counters=self._counters
        )
        self._handlers = handlers = [discovery.handler()]
        if self._pool is not None:
            door = WorkerDoor(self._pool, self._counters.work)
            routes += door.routes()
            handlers.append(door.handler())
        if self._ai_pool is not None:
            ai_door = AiWorkerDoor(self._ai_pool, self._counters.ai)
            routes += ai_door.routes()
            handlers.append(ai_door.handler())
        self._images = AiService(
            admission=admission,
            payments=payments,
            ai=models,
            store=self._store,
            counters=self._counters,
            rng=rng,
            memory=self._source_memory,
            own_store=self._own_store,
            accounts=accounts,
        )
        if ai is not None or self._ai_pool is not None:
            routes += self._images.routes()
        self._app = Starlette(routes=routes, exception_handlers={404: _not_found})
        self._run_dir = run_dir
        self._board = board
        self._rng = rng
        self._sessions.intake = intake
        self._run_on_s = run_on_s
        self._drain_s = drain_s
        self._leaving = False
        self._fetch_s = fetch_s
        self._door: FrontDoor | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the front door. Raises NginxMissing, CertificateUnusable or FrontDoorClosed."""
        self._door = FrontDoor(
            listen=self._settings.listen,
            certificate=self._certificate or self._own_certificate(),
            renew=None if self._certificate else self._own_certificate,
            clock=self._clock,
            run_dir=self._run_dir,
            app=self._app,
            handlers=self._handlers,
            board=self._board,
            rng=self._rng,
            drain_s=self._drain_s,
            on_drain=self._end_streams,
        )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._hashing)
            await stack.enter_async_context(self._client)
            await stack.enter_async_context(self._peer_stores)
            if self._own_store is not None:
                await stack.enter_async_context(self._own_store)
            if self._webhook is not None:
                await stack.enter_async_context(self._webhook)
            await stack.enter_async_context(self._sessions)
            if self._gate is not None:
                await stack.enter_async_context(self._gate)
            await stack.enter_async_context(self._door)
            await stack.enter_async_context(self._self_check)
            stack.push_async_callback(self._drain, self._door)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def pool(self) -> WorkerPool | None:
        """The joined workers; None where none are taken."""
        return self._pool

    @property
    def counters(self) -> Counters:
        """What is counted of the work; for reading only."""
        return self._counters

    def take(self, intake: Intake, *, local_is_closed: bool = False) -> None:
        """Go by it from now on, until leaving; `local_is_closed`: sessions have to leave the local devices."""
        self._transcoders.local_is_closed = local_is_closed
        if not self._leaving:
            self._sessions.intake = intake

    def offer_to(self, account: Address | None) -> None:
        """Tell this account alone of the node from now on; None: everybody. Nothing that runs is disturbed."""
        self._admission.only_for = account

    def limit(self, max_sessions: int, *, local_sessions: int | None = None) -> None:
        """Take so many streams from now on, and so many on the local devices (None: as before); open ones stay."""
        self._sessions.max_sessions = max_sessions
        if local_sessions is not None:
            self._transcoders.local_capacity = local_sessions

    def go_by(self, worker_secrets: WorkerSecrets | None, certificate: CertificateFiles | None) -> None:
        """What workers show and what peers are shown from now on; None: as it is.

        Raises CertificateUnusable, and nothing has changed.
        """
        if certificate is not None and self._door is not None and certificate != self._certificate:
            self._door.certificate.go_by(certificate)
            self._certificate = certificate
        if worker_secrets is not None and self._gate is not None:
            self._gate.take(worker_secrets)

    @property
    def in_flight(self) -> int:
        """Segments and images that were taken and are not done."""
        return self._sessions.unfinished + self._images.under_way

    def snapshot(self) -> ServerSnapshot:
        """For /status and metrics."""
        return ServerSnapshot(
            sessions=len(self._sessions),
            max_sessions=self._sessions.max_sessions,
            local_sessions=self._transcoders.local_sessions,
            workers=() if self._pool is None else self._pool.snapshot(),
            ai_workers=() if self._ai_pool is None else self._ai_pool.snapshot(),
            segments_ok=self._counters.segments_ok,
            segments_failed=self._counters.segments_failed,
            pixels=self._counters.pixels,
            requests_refused=self._counters.requests_refused,
            images_ok=self._counters.images_ok,
            images_failed=self._counters.images_failed,
            last_durations_s=tuple(self._counters.durations_s),
            front_door_open=self._door is not None and self._door.is_open,
            front_door_restarts=0 if self._door is None else self._door.restarts,
            files_uploaded=self._results.uploaded,
            files_not_uploaded=self._results.not_uploaded,
            worker_retries=0 if self._pool is None else self._pool.retries,
            ai_worker_retries=0 if self._ai_pool is None else self._ai_pool.retries,
            suspensions=tuple(self._counters.suspensions),
            nginx_pid=None if self._door is None else self._door.nginx_pid,
            certificate_days=None if self._door is None else self._door.certificate.days_left,
        )

    def _own_certificate(self) -> CertificateFiles:
        return ensure_certificate(self._state_dir / "tls", service_host(self._settings.service_uri), self._clock)

    def _end_streams(self) -> None:
        for pool in (self._pool, self._ai_pool):
            if pool is not None:
                pool.close()

    async def _drain(self, door: FrontDoor) -> None:
        """While the door is open still: through it gateways fetch their results, and workers bring them."""
        self._leaving = True
        door.announce_drain()
        await self._sessions.let_run(self._run_on_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s / 2), asyncio.TaskGroup() as taken:
                taken.create_task(self._sessions.drain())
                taken.create_task(self._images.drain())
        with suppress(TimeoutError):
            async with asyncio.timeout(self._fetch_s):
                while self._store.unread:  # noqa: ASYNC110 -- reading a file makes no event, and this is the only asker
                    await asyncio.sleep(_LOOK_S)

    async def _session_ended(self, session: SessionId) -> None:
        self._streams.ended(session)
        self._store.drop(session)
        await self._transcoders.end_session(session)


def _gate_of(secret: str | WorkerSecrets | None, clock: Clock, board: ConditionBoard) -> WorkerGate | None:
    if secret is None:
        return None
    return WorkerGate(WorkerSecrets(secret) if isinstance(secret, str) else secret, clock=clock, board=board)


def _clients(settings: OrchestratorSettings) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    """For sources, whose content is proven by a hash, and for gateways' object stores, which are not."""
    networks = settings.peer_networks
    if networks is None:
        networks = neighbouring_networks(service_host(settings.service_uri))
    rule = AddressRule(networks)
    # Sources may lie behind our own door, and an idle connection there would hold up its closing.
    return careful_client(rule, check_certificates=False, http2=True, keep_idle=0), careful_client(rule)


async def _not_found(_request: Request, _error: Exception) -> Response:
    return plain("404 page not found", 404)


async def _healthz(_: Request) -> Response:
    return Response()
