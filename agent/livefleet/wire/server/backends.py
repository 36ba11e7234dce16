"""The two servers behind nginx, each on a unix socket: gRPC and ASGI."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import grpc
import uvicorn
from starlette.types import ASGIApp

from livefleet.kernel import Terminal

__all__ = ["AsgiBackend", "GrpcBackend", "RpcHandler"]

RpcHandler: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"
"""A gRPC service; generic for type checkers only."""

_SOCKET_PATH_LIMIT = 100  # Linux takes 107 bytes; gRPC needs some


def prepare_socket(path: Path) -> None:
    """Remove a left-over. Raises Terminal for a path that the kernel would not take."""
    if len(str(path)) > _SOCKET_PATH_LIMIT:
        raise Terminal(f"{path} is too long for a unix socket; choose a shorter run folder")
    path.unlink(missing_ok=True)


class _Embedded(uvicorn.Server):
    """uvicorn without its signal handlers: the agent decides when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AsgiBackend:
    """uvicorn on a unix socket."""

    def __init__(self, app: ASGIApp, path: Path, *, drain_s: float) -> None:
        prepare_socket(path)
        config = uvicorn.Config(
            app,
            uds=str(path),
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=3600,
            timeout_graceful_shutdown=max(1, round(drain_s)),
        )
        self._server = _Embedded(config)
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._group.create_task(self._server.serve(), name="asgi")
        await self._server.listening.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        await self._group.__aexit__(None, None, None)  # an error of the block is its own, none of the group's


class GrpcBackend:
    """grpc.aio on a unix socket."""

    def __init__(self, handlers: Sequence[RpcHandler], path: Path, *, drain_s: float) -> None:
        prepare_socket(path)
        self._drain_s = drain_s
        self._server = grpc.aio.server(
            options=(
                ("grpc.so_reuseport", 0),
                ("grpc.max_concurrent_streams", 100_000),
                ("grpc.http2.max_ping_strikes", 0),  # nginx and workers may ping as they like
            ),
        )
        self._server.add_generic_rpc_handlers(tuple(handlers))
        self._server.add_insecure_port(f"unix:{path}")

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop(self._drain_s)
