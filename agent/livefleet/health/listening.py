"""An HTTP listener of the agent's own, on its event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from ssl import CERT_REQUIRED
from types import TracebackType
from typing import Any, Final, Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from livefleet.kernel import BadInput, OutsideWorld

__all__ = ["Listener", "ServerTls"]

_AT_ONCE: Final = 256  # connections; more are told 503


@dataclass(frozen=True, slots=True)
class ServerTls:
    """Files, in PEM, that a listener shows and checks by."""

    certificate: Path
    key: Path
    client_ca: Path | None = None  # None: clients need no certificate


class Listener:
    """Serves `routes` at `listen` (`host:port`; port 0: any) while it is entered; `address` is where it really is.

    `what`: for the error of an address that is taken, as in `the admin address`. `tls`: None for plain HTTP.
    Entering raises OutsideWorld where the address cannot be had, BadInput where the certificate cannot be used.
    """

    def __init__(self, listen: str, routes: Sequence[BaseRoute], *, what: str, tls: ServerTls | None = None) -> None:
        self._listen = listen
        self._routes = routes
        self._what = what
        self._tls = tls
        self._tasks: asyncio.TaskGroup | None = None
        self._server: uvicorn.Server | None = None
        self.address = ""

    async def __aenter__(self) -> Self:
        config = uvicorn.Config(
            Starlette(routes=list(self._routes)),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http="httptools",
            limit_concurrency=_AT_ONCE,
            **_tls_settings(self._tls),
        )
        try:
            config.load()
        except OSError as error:  # ssl's own errors are such
            raise BadInput(f"the certificate of {self._what} cannot be used: {error}") from error
        sock = _bind(self._listen, self._what)
        host, port = sock.getsockname()[:2]
        self.address = f"{host}:{port}"
        self._server = _QuietServer(config)
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._tasks.create_task(self._server.serve(sockets=[sock]), name=self._what)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._tasks is not None
        self._server.should_exit = True
        self._server.force_exit = True
        await self._tasks.__aexit__(None, None, None)


def _tls_settings(tls: ServerTls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    shown = {"ssl_certfile": str(tls.certificate), "ssl_keyfile": str(tls.key)}
    asked = {} if tls.client_ca is None else {"ssl_ca_certs": str(tls.client_ca), "ssl_cert_reqs": CERT_REQUIRED}
    return {**shown, **asked}


class _QuietServer(uvicorn.Server):
    """The agent handles signals itself."""

    def capture_signals(self) -> Any:
        """Leave the process's handlers alone."""
        return contextlib.nullcontext()


def _bind(listen: str, what: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host.strip("[]"), int(port)))
    except OSError as error:
        sock.close()
        raise OutsideWorld(f"cannot listen on {what} {listen}: {error.strerror}") from error
    return sock
