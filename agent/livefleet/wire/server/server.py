"""The orchestrator's public side, composed."""

import asyncio
import random
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
from livefleet.kernel import Blocking, Clock, ConditionBoard, SessionId
from livefleet.payments import Payments
from livefleet.spec import OrchestratorSettings
from livefleet.wire.auth import AuthTokens
from livefleet.wire.fetch import FETCH_TIMEOUT_S
from livefleet.wire.messages import SegmentOutcome
from livefleet.wire.server.admission import Admission
from livefleet.wire.server.ai_routes import AiService
from livefleet.wire.server.counters import Counters, ServerSnapshot
from livefleet.wire.server.front_door import FrontDoor
from livefleet.wire.server.offer import Offer
from livefleet.wire.server.orchestrator import OrchestratorService
from livefleet.wire.server.parts import Ai
from livefleet.wire.server.segments import SegmentService
from livefleet.wire.server.sessions import IDLE_S, TranscodingSessions
from livefleet.wire.server.stream_store import StreamStore
from livefleet.wire.server.transcoders import Transcoders
from livefleet.wire.server.worker_door import WorkerDoor
from livefleet.wire.server.worker_pool import WorkerPool
from livefleet.wire.tls import CertificateFiles, ensure_certificate, service_host
from livefleet.wire.transcoding import LocalTranscoding

__all__ = ["OrchestratorServer"]

_LOOK_S = 0.05


class OrchestratorServer:
    """Everything that gateways and workers see of an orchestrator; serving while entered.

    `signer` and on-chain `payments` come together or not at all. `transcoder` are the local devices, for
    `local_sessions` streams; `worker_secret` (the secret itself) opens the door to remote workers; either, both or
    none. `auth_secret` is 32 bytes that the caller persists, so that sessions outlive a restart. `rng` makes ids that
    protect renditions: production passes `random.SystemRandom()`. `certificate` None: one is made in `state_dir`.

    Leaving takes no new work, finishes what was taken for half of `drain_s`, gives peers `fetch_s` to fetch the
    results, and only then closes the door.
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
        worker_secret: str | None = None,
        ai: Ai | None = None,
        certificate: CertificateFiles | None = None,
        drain_s: float = 30.0,
        fetch_s: float = FETCH_TIMEOUT_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._clock = clock
        self._certificate = certificate
        self._counters = Counters()
        self._store = StreamStore(settings.service_uri, clock)
        self._pool = None if not worker_secret else WorkerPool(secret=worker_secret, store=self._store, clock=clock)
        self._transcoders = Transcoders(local=transcoder, local_capacity=local_sessions, pool=self._pool)
        self._sessions: TranscodingSessions[SegmentOutcome] = TranscodingSessions(
            settings.max_sessions, self._session_ended, idle_s=idle_s
        )
        self._hashing = Blocking("hashing")
        # Sources may lie behind our own door, and an idle connection there would hold up its closing.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(verify=False, http2=True, limits=limits)  # noqa: S501 -- as all peers do
        admission = Admission(
            service_uri=settings.service_uri,
            nodes=settings.nodes,
            payments=payments,
            signer=signer,
            tokens=AuthTokens(auth_secret, clock, rng),
            offer=Offer(self._transcoders, ai),
            sessions=self._sessions,
        )
        segments = SegmentService(
            admission=admission,
            payments=payments,
            signer=signer,
            sessions=self._sessions,
            store=self._store,
            transcoder=self._transcoders,
            counters=self._counters,
            client=self._client,
            hashing=self._hashing,
        )
        routes = [Route("/healthz", _healthz), *segments.routes()]
        handlers = [OrchestratorService(admission=admission, sessions=self._sessions, signer=signer).handler()]
        if self._pool is not None:
            door = WorkerDoor(self._pool)
            routes += door.routes()
            handlers.append(door.handler())
        if ai is not None:
            images = AiService(
                admission=admission, payments=payments, ai=ai, store=self._store, counters=self._counters, rng=rng
            )
            routes += images.routes()
        self._app = Starlette(routes=routes)
        self._handlers = handlers
        self._run_dir = run_dir
        self._board = board
        self._rng = rng
        self._drain_s = drain_s
        self._fetch_s = fetch_s
        self._door: FrontDoor | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the front door. Raises NginxMissing or FrontDoorClosed."""
        certificate = self._certificate or ensure_certificate(
            self._state_dir / "tls", service_host(self._settings.service_uri), self._clock
        )
        self._door = FrontDoor(
            listen=self._settings.listen,
            certificate=certificate,
            run_dir=self._run_dir,
            app=self._app,
            handlers=self._handlers,
            board=self._board,
            rng=self._rng,
            drain_s=self._drain_s,
            on_drain=None if self._pool is None else self._pool.close,
        )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._hashing)
            await stack.enter_async_context(self._client)
            await stack.enter_async_context(self._sessions)
            await stack.enter_async_context(self._door)
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

    def snapshot(self) -> ServerSnapshot:
        """For /status and metrics."""
        return ServerSnapshot(
            sessions=len(self._sessions),
            max_sessions=self._sessions.max_sessions,
            local_sessions=self._transcoders.local_sessions,
            workers=() if self._pool is None else self._pool.snapshot(),
            segments_ok=self._counters.segments_ok,
            segments_failed=self._counters.segments_failed,
            pixels=self._counters.pixels,
            requests_refused=self._counters.requests_refused,
            images_ok=self._counters.images_ok,
            images_failed=self._counters.images_failed,
            last_durations_s=tuple(self._counters.durations_s),
            front_door_open=self._door is not None and self._door.is_open,
            front_door_restarts=0 if self._door is None else self._door.restarts,
            nginx_pid=None if self._door is None else self._door.nginx_pid,
        )

    async def _drain(self, door: FrontDoor) -> None:
        """While the door is open still: through it gateways fetch their results, and workers bring them."""
        door.announce_drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s / 2):
                await self._sessions.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._fetch_s):
                while self._store.unread:  # noqa: ASYNC110 -- reading a file makes no event, and this is the only asker
                    await asyncio.sleep(_LOOK_S)

    async def _session_ended(self, session: SessionId) -> None:
        self._store.drop(session)
        await self._transcoders.end_session(session)


async def _healthz(_: Request) -> Response:
    return Response()
