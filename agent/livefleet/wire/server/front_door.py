"""One TLS port for gRPC, HTTP/2 and HTTP/1.1: nginx outside, grpc.aio and an ASGI server behind it."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp

from livefleet.kernel import Backoff, Clock, Condition, ConditionBoard, Status, Terminal
from livefleet.wire.errors import FrontDoorClosed, NginxMissing
from livefleet.wire.server.backends import AsgiBackend, GrpcBackend, RpcHandler
from livefleet.wire.server.certificate import CertificateKeeper
from livefleet.wire.server.nginx import OLDEST, Nginx, find_nginx, nginx_version, render
from livefleet.wire.tls import CertificateFiles

__all__ = ["FrontDoor"]

log = logging.getLogger(__name__)

CONDITION = "FrontDoorOpen"


class FrontDoor:
    """Open while entered. Leaving closes the port at once, drains for `drain_s`, then stops the servers behind.

    An nginx that ends by itself is started again with backoff; `FrontDoorOpen` tells. `on_drain` is called once the
    port is closed, to end what would otherwise last as long as its peer likes (worker streams).
    """

    def __init__(
        self,
        *,
        listen: str,
        certificate: CertificateFiles,
        run_dir: Path,
        app: ASGIApp,
        handlers: Sequence[RpcHandler],
        board: ConditionBoard,
        rng: random.Random,
        clock: Clock,
        renew: Callable[[], object] | None = None,
        drain_s: float = 30.0,
        on_drain: Callable[[], None] | None = None,
    ) -> None:
        self._listen = listen
        self._pem = run_dir / "certificate.pem"
        self.certificate = CertificateKeeper(certificate, self._pem, clock=clock, board=board, renew=renew)
        """Follows the files while the door is open; `renew` makes them anew."""
        self._run_dir = run_dir
        self._app = app
        self._handlers = handlers
        self._board = board
        self._rng = rng
        self._drain_s = drain_s
        self._on_drain = on_drain
        self._nginx: Nginx | None = None
        self._group = asyncio.TaskGroup()
        self._keeper: asyncio.Task[None] | None = None
        self._stack = contextlib.AsyncExitStack()
        self.restarts = 0
        self.is_open = False

    @property
    def nginx_pid(self) -> int | None:
        """Process id of the running nginx."""
        return None if self._nginx is None else self._nginx.pid

    async def __aenter__(self) -> Self:
        """Raises NginxMissing, CertificateUnusable, or FrontDoorClosed where the port cannot be opened."""
        self._run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        grpc_socket, http_socket = self._run_dir / "grpc.sock", self._run_dir / "http.sock"
        async with contextlib.AsyncExitStack() as stack:
            try:
                program = find_nginx()
            except NginxMissing as error:
                self._report(Status.FALSE, "NginxMissing", str(error))
                raise
            version = await nginx_version(program)
            if version < OLDEST:
                raise Terminal(f"{program} is version {'.'.join(map(str, version))}; 1.20 or newer is needed")
            await stack.enter_async_context(self.certificate)
            await stack.enter_async_context(AsgiBackend(self._app, http_socket, drain_s=self._drain_s))
            await stack.enter_async_context(GrpcBackend(self._handlers, grpc_socket, drain_s=self._drain_s))
            config = self._run_dir / "nginx.conf"
            config.write_text(
                render(
                    listen=self._listen,
                    certificate=self._pem,
                    run_dir=self._run_dir,
                    grpc_socket=grpc_socket,
                    http_socket=http_socket,
                    drain_s=self._drain_s,
                    version=version,
                )
            )
            await self._group.__aenter__()
            # An error of the block is its own, none of the group's.
            stack.push_async_callback(self._group.__aexit__, None, None, None)
            stack.push_async_callback(self._close)
            self._nginx = Nginx(program=program, listen=self._listen, config=config, run_dir=self._run_dir)
            await self._open(self._nginx)
            self._keeper = self._group.create_task(self._keep(self._nginx), name="front-door")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def announce_drain(self) -> None:
        """Say that the door will close soon: it still answers, but takes no new work."""
        self._report(
            Status.FALSE, "Draining", "the agent is stopping: what was taken is finished, nothing new is taken"
        )

    async def _open(self, nginx: Nginx) -> None:
        try:
            await nginx.start(self._group)
        except FrontDoorClosed as error:
            self.is_open = False
            self._report(Status.FALSE, "NotListening", str(error))
            raise
        self.is_open = True
        self._report(Status.TRUE, "Listening", f"nginx answers on {self._listen}")

    async def _keep(self, nginx: Nginx) -> None:
        waits = Backoff(first_s=0.2, factor=2, cap_s=10)
        while True:
            status = await nginx.wait()
            self.is_open = False
            self.restarts += 1
            error = FrontDoorClosed(self._listen, f"nginx ended with status {status}")
            log.error("front_door.lost", extra={"status": status, "words": nginx.last_words()})
            self._report(Status.FALSE, "NginxEnded", str(error))
            while not self.is_open:
                await asyncio.sleep(waits.next(self._rng))
                with contextlib.suppress(FrontDoorClosed):
                    await self._open(nginx)

    async def _close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        self.is_open = False
        self._report(Status.FALSE, "Stopping", "the agent is stopping")
        if self._nginx is None:
            return
        stopping = self._group.create_task(self._nginx.stop(self._drain_s), name="nginx-stop")
        if self._on_drain is not None:
            self._on_drain()
        await stopping

    def _report(self, status: Status, reason: str, message: str) -> None:
        self._board.report(Condition(CONDITION, status, reason, message))
