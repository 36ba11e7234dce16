"""The redeemer's side: `net.TicketRedeemer` over TLS.

The protocol has no authentication here: whoever reaches the port may queue tickets (which are checked) and ask for
floats. It belongs on a private address.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Protocol, Self

import grpc
import grpc.aio

from livefleet.kernel import Address, Condition, ConditionBoard, LivefleetError, Status, Transient
from livefleet.payments import WinningTicket, WrongRecipient
from livefleet.wire.proto import redeemer_pb2 as pb
from livefleet.wire.tls import CertificateFiles
from livefleet.wire.translate.redeemer import float_request_from_proto, float_to_proto, winner_from_proto

__all__ = ["REDEEMER_OPEN", "Desk", "RedeemerServer"]

log = logging.getLogger(__name__)

REDEEMER_OPEN = "RedeemerOpen"

_MAX_MESSAGE = 64 * 1024  # bytes; a ticket has about 500
_MONITORED = 10_000  # streams at once
_RETRY_S = 5.0  # until the port is asked for again
_STOP_S = 2.0

_Context = grpc.aio.ServicerContext[Any, Any]


class Desk(Protocol):
    """What takes the tickets and knows the floats."""

    async def queue(self, winner: WinningTicket) -> None:
        """Durable on return. Raises WrongRecipient, or another LivefleetError."""
        ...

    async def max_float(self, sender: Address) -> int:
        """Wei, not below zero."""
        ...

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` when a float may be another; the answer ends it."""
        ...


class RedeemerServer:
    """Serving on `listen` while entered."""

    def __init__(self, desk: Desk, *, listen: str, certificate: CertificateFiles, board: ConditionBoard) -> None:
        self._desk = desk
        self._listen = listen
        self._certificate = certificate
        self._board = board
        self._server: grpc.aio.Server | None = None
        self._closing = asyncio.Event()
        self._monitors = 0
        self.queued = 0
        self.refused = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        """Raises Transient where the port cannot be had now."""
        server = grpc.aio.server(
            options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _MAX_MESSAGE)),
        )
        server.add_generic_rpc_handlers((self._handler(),))
        pair = (self._certificate.key.read_bytes(), self._certificate.certificate.read_bytes())
        try:
            self.port = server.add_secure_port(self._listen, grpc.ssl_server_credentials([pair]))
        except RuntimeError as error:
            text = f"cannot listen on {self._listen}: {error}"
            self._board.report(Condition(REDEEMER_OPEN, Status.FALSE, "NotListening", text))
            raise Transient(text, retry_after_s=_RETRY_S) from error
        await server.start()
        self._server = server
        self._board.report(Condition(REDEEMER_OPEN, Status.TRUE, "Serving", f"listens on {self._listen}"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        assert self._server is not None
        await self._server.stop(_STOP_S)
        self._board.withdraw(REDEEMER_OPEN)

    @property
    def monitors(self) -> int:
        """Floats that orchestrators follow now."""
        return self._monitors

    def _handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        unary, streaming = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            "net.TicketRedeemer",
            {
                "QueueTicket": unary(
                    self._queue_ticket,
                    request_deserializer=pb.Ticket.FromString,
                    response_serializer=pb.QueueTicketRes.SerializeToString,
                ),
                "MaxFloat": unary(
                    self._max_float,
                    request_deserializer=pb.MaxFloatReq.FromString,
                    response_serializer=pb.MaxFloatUpdate.SerializeToString,
                ),
                "MonitorMaxFloat": streaming(
                    self._monitor_max_float,
                    request_deserializer=pb.MaxFloatReq.FromString,
                    response_serializer=pb.MaxFloatUpdate.SerializeToString,
                ),
            },
        )

    async def _queue_ticket(self, request: pb.Ticket, context: _Context) -> pb.QueueTicketRes:
        try:
            await self._desk.queue(winner_from_proto(request))
        except WrongRecipient as error:
            self.refused += 1
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, error.text)
        except (LivefleetError, ValueError) as error:
            self.refused += 1
            log.warning("ticket.not_queued", extra={"error": str(error)})
            await context.abort(grpc.StatusCode.INTERNAL, str(error))
        self.queued += 1
        return pb.QueueTicketRes()

    async def _max_float(self, request: pb.MaxFloatReq, context: _Context) -> pb.MaxFloatUpdate:
        return float_to_proto(await self._float(float_request_from_proto(request), context))

    async def _monitor_max_float(self, request: pb.MaxFloatReq, context: _Context) -> AsyncIterator[pb.MaxFloatUpdate]:
        """The float now, then each time it is another; ends with `subscription closed` when this side stops."""
        if self._monitors >= _MONITORED:
            await context.abort(grpc.StatusCode.INTERNAL, "too many subscriptions")
        sender = float_request_from_proto(request)
        look = asyncio.Event()
        unsubscribe = self._desk.subscribe(look.set)
        self._monitors += 1
        try:
            told: int | None = None
            while not self._closing.is_set():
                look.clear()
                if (value := await self._float(sender, context)) != told:
                    told = value
                    yield float_to_proto(value)
                await _first_of(look, self._closing)
        finally:
            self._monitors -= 1
            unsubscribe()
        await context.abort(grpc.StatusCode.CANCELLED, "subscription closed")

    async def _float(self, sender: Address, context: _Context) -> int:
        try:
            return await self._desk.max_float(sender)
        except LivefleetError as error:
            # Its text may name endpoints; peers are told that it failed, the log why.
            log.warning("float.unknown", extra={"sender": sender, "error": str(error)})
            await context.abort(grpc.StatusCode.INTERNAL, "the sender's float is not known now")
            raise


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
