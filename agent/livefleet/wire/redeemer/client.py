"""An orchestrator's side of a shared redeemer.

          first need                    a call or a stream fails
no channel ---------> channel ---------------------------------> no channel; floats are forgotten
                      | a float: asked once, then followed by a stream; unused for 5 minutes: dropped
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import grpc
import grpc.aio

from livefleet.kernel import Address, OutsideWorld, Refused
from livefleet.payments import WinningTicket
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import redeemer_pb2 as pb
from livefleet.wire.translate.redeemer import float_from_proto, float_request_to_proto, winner_to_proto

__all__ = ["RedeemerClient"]

log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 3.0
_CALL_TIMEOUT_S = 8.0
_FLOAT_TIMEOUT_S = 0.25  # a gateway waits half a second for the whole answer
_UNUSED_S = 300.0
_FOLLOWED = 10_000  # senders
_RETRY_S = 5.0  # after a failure, before floats are asked for again
_KEEPALIVE_S = 30.0
_ALREADY_THERE = "UNIQUE constraint failed"  # the reference's answer to a ticket that it has


@dataclass(slots=True)
class _Followed:
    value: int | None = None
    known: asyncio.Event = field(default_factory=asyncio.Event)
    used_at: float = 0.0
    task: asyncio.Task[None] | None = None


class RedeemerClient:
    """A payments.TicketRedeemer at `address`; connects when it is first needed, and again after a failure."""

    def __init__(self, address: str) -> None:
        self._endpoint = parse_endpoint(address)
        self._channel: grpc.aio.Channel | None = None
        self._opening = asyncio.Lock()
        self._group = asyncio.TaskGroup()
        self._followed: dict[Address, _Followed] = {}
        self._not_before = 0.0
        self.last_error: str | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for followed in tuple(self._followed.values()):
            if followed.task is not None:
                followed.task.cancel()
        await self._group.__aexit__(None, None, None)
        await self._drop_channel()

    async def queue(self, winner: WinningTicket) -> None:
        """Hand a ticket over. Raises Refused where it will never be taken, OutsideWorld where it was not heard."""
        try:
            channel = await self._open()
            call = channel.unary_unary(
                "/net.TicketRedeemer/QueueTicket",
                request_serializer=pb.Ticket.SerializeToString,
                response_deserializer=pb.QueueTicketRes.FromString,
            )
            await call(winner_to_proto(winner), timeout=_CALL_TIMEOUT_S)
        except OutsideWorld as error:
            self.last_error = str(error)
            raise
        except grpc.aio.AioRpcError as error:
            text = error.details() or error.code().name
            if _ALREADY_THERE in text:
                return
            self.last_error = f"{self._endpoint}: {text}"
            if error.code() is grpc.StatusCode.PERMISSION_DENIED:
                raise Refused(text) from error
            if error.code() is not grpc.StatusCode.INTERNAL:
                await self._drop_channel()
            raise OutsideWorld(self.last_error) from error
        self.last_error = None

    async def max_float(self, sender: Address) -> int | None:
        """As last told; the first time it is waited for, shortly. None while the redeemer does not say."""
        now = time.monotonic()
        followed = self._followed.get(sender)
        if followed is None:
            if now < self._not_before or not self._has_room(now):
                return None
            followed = self._followed[sender] = _Followed()
            followed.task = self._group.create_task(self._follow(sender, followed), name=f"float-{sender}")
        followed.used_at = now
        if followed.value is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FLOAT_TIMEOUT_S):
                    await followed.known.wait()
        return followed.value

    def _has_room(self, now: float) -> bool:
        for sender, followed in tuple(self._followed.items()):
            if now - followed.used_at > _UNUSED_S and followed.task is not None:
                followed.task.cancel()
                self._followed.pop(sender, None)
        return len(self._followed) < _FOLLOWED

    async def _follow(self, sender: Address, followed: _Followed) -> None:
        """One sender's stream; its end, whatever it is, forgets the float."""
        try:
            channel = await self._open()
            monitor = channel.unary_stream(
                "/net.TicketRedeemer/MonitorMaxFloat",
                request_serializer=pb.MaxFloatReq.SerializeToString,
                response_deserializer=pb.MaxFloatUpdate.FromString,
            )
            ask = channel.unary_unary(
                "/net.TicketRedeemer/MaxFloat",
                request_serializer=pb.MaxFloatReq.SerializeToString,
                response_deserializer=pb.MaxFloatUpdate.FromString,
            )
            # The reference's streams say nothing before something changes, so the value of now is asked for.
            stream = monitor(float_request_to_proto(sender))
            first = await ask(float_request_to_proto(sender), timeout=_CALL_TIMEOUT_S)
            self._learn(followed, first)
            async for update in stream:
                self._learn(followed, update)
            self._failed(f"{self._endpoint}: it ended the stream")
        except OutsideWorld as error:
            self._failed(str(error))
        except grpc.aio.AioRpcError as error:
            self._failed(f"{self._endpoint}: {error.details() or error.code().name}")
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                await self._drop_channel()
        finally:
            if self._followed.get(sender) is followed:
                del self._followed[sender]

    def _learn(self, followed: _Followed, update: pb.MaxFloatUpdate) -> None:
        followed.value = float_from_proto(update)
        followed.known.set()
        self.last_error = None

    def _failed(self, text: str) -> None:
        self._not_before = time.monotonic() + _RETRY_S
        if text != self.last_error:
            log.warning("redeemer.lost", extra={"error": text})
        self.last_error = text

    async def _open(self) -> grpc.aio.Channel:
        async with self._opening:
            if self._channel is None:
                self._channel = await open_channel(
                    self._endpoint, timeout_s=_CONNECT_TIMEOUT_S, keepalive_s=_KEEPALIVE_S
                )
            return self._channel

    async def _drop_channel(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)
