"""Runs the service over TLS, so that no peer holds a connection for longer than an exchange takes."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from livefleet.control.enrol.certificate import ServiceCertificate
from livefleet.control.enrol.service import EnrolService
from livefleet.kernel import BadInput, OutsideWorld

__all__ = ["ListenAt", "serve"]

_CONNECTION_S: Final = 30.0
_MOST_CONNECTIONS: Final = 256
_HEADER_BYTES: Final = 16 << 10


@dataclass(frozen=True, slots=True)
class ListenAt:
    """Where the service listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _bounded(connection_s: float) -> type[H11Protocol]:
    """HTTP that closes a connection after so long, whatever it is doing: an exchange takes a second."""

    class Bounded(H11Protocol):
        _ends: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            self._ends = self.loop.call_later(connection_s, transport.abort)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._ends is not None:
                self._ends.cancel()
            super().connection_lost(exc)

    return Bounded


async def serve(
    service: EnrolService,
    listen: ListenAt,
    certificate: ServiceCertificate,
    ready: Callable[[ListenAt], None] = lambda _: None,
    stop: asyncio.Event | None = None,
    *,
    connection_s: float = _CONNECTION_S,
) -> None:
    """Until SIGTERM or SIGINT, or `stop`. `ready` is called with the address once connections are taken.

    Raises OutsideWorld where it cannot listen.
    """
    config = uvicorn.Config(
        service.app,
        host=listen.host,
        port=listen.port,
        http=_bounded(connection_s),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        ssl_certfile=str(certificate.certificate),
        ssl_keyfile=str(certificate.key),
    )
    server = _Server(config, listen, ready)
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_stop_with(server, stop or asyncio.Event()))
            await server.serve()
            watching.cancel()
    except SystemExit as error:  # how uvicorn says that the address cannot be had
        raise OutsideWorld(f"{listen}: cannot listen there: is it in use already?") from error
    except ssl.SSLError as error:
        raise BadInput(f"{certificate.key} does not belong to {certificate.certificate}: {error.reason}") from error
    finally:
        service.close()


async def _stop_with(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, listen: ListenAt, ready: Callable[[ListenAt], None]) -> None:
        super().__init__(config)
        self._listen = listen
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            self._ready(ListenAt(self._listen.host, port))
