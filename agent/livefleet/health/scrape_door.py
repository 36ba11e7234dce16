"""The door for monitors elsewhere: /metrics, /node and /healthz, by token or certificate, and nothing else."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from livefleet.health.bearer import TokenFile
from livefleet.health.listening import Listener, ServerTls
from livefleet.health.metrics import Collected, exposition
from livefleet.kernel import Clock
from livefleet.spec import EXPORTER_PORT, NodeSpec

__all__ = ["ScrapeDoor", "scrape_door"]

FRESH_S: Final = 1.0
"""So old a page may be: whoever asks more often gets the same one, and costs no more."""

_EXPORTER_S: Final = 8.0
_EXPORTER_BYTES: Final = 8 << 20


class ScrapeDoor:
    """An async context manager that serves; `address` says where.

    `token`: None where a certificate is asked for instead. `exporter`: host and port of the node exporter, if any.
    """

    def __init__(
        self,
        listen: str,
        registry: CollectorRegistry,
        clock: Clock,
        *,
        token: TokenFile | None,
        tls: ServerTls | None = None,
        exporter: str = "",
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._token = token
        self._exporter = exporter
        self._page = b""
        self._made_at: float | None = None
        self._making = asyncio.Lock()
        routes = [
            Route("/healthz", self._healthz),
            Route("/metrics", self._metrics),
            *([Route("/node", self._node)] if exporter else []),
        ]
        self._server = Listener(listen, routes, what="the door for monitors", tls=tls)

    @property
    def address(self) -> str:
        """`host:port`."""
        return self._server.address

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.__aexit__(kind, error, trace)

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _metrics(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        async with self._making:  # a flood waits for one page, and gets that
            now = self._clock.monotonic()
            if self._made_at is None or now - self._made_at >= FRESH_S:
                self._page = await asyncio.to_thread(exposition, Collected(self._registry))
                self._made_at = now
        return Response(self._page, media_type=CONTENT_TYPE_LATEST)

    async def _node(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        try:
            async with asyncio.timeout(_EXPORTER_S), httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"http://{self._exporter}/metrics", timeout=_EXPORTER_S)
        except (httpx.HTTPError, TimeoutError) as error:
            text = f"the node exporter does not answer on {self._exporter}: {type(error).__name__}\n"
            return PlainTextResponse(text, status_code=502)
        if len(answer.content) > _EXPORTER_BYTES:
            return PlainTextResponse("the node exporter says too much\n", status_code=502)
        return Response(answer.content, answer.status_code, media_type=CONTENT_TYPE_LATEST)

    def _refusal(self, request: Request) -> Response | None:
        return None if self._token is None else self._token.refusal(request)


def scrape_door(spec: NodeSpec, registry: CollectorRegistry, clock: Clock) -> ScrapeDoor:
    """The declared one."""
    settings = spec.monitoring.scrape
    assert settings is not None  # or nobody asks for it

    def file(name: str) -> Path:
        return spec.paths.resolve(spec.secrets[name])

    tls = None
    if (shown := settings.tls) is not None:
        client_ca = None if shown.client_ca is None else file(shown.client_ca)
        tls = ServerTls(file(shown.certificate), file(shown.key), client_ca)
    return ScrapeDoor(
        settings.listen,
        registry,
        clock,
        token=None if settings.token is None else TokenFile(file(settings.token)),
        tls=tls,
        exporter=f"127.0.0.1:{EXPORTER_PORT}" if spec.monitoring.node_exporter else "",
    )
