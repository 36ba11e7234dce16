"""A POST over HTTP/2 whose body is still being made, on a connection of its own.

httpx reads an answer only when the whole body is sent; an orchestrator that ends the request early, because nobody
waits for the rest, would not be heard before the model has made all of it.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError

from livefleet.kernel import OutsideWorld

__all__ = ["upload_events"]

_CONNECT_S = 10.0
_ANSWER_S = 60.0
_MAX_ANSWER = 64 * 1024  # bytes that are kept of it


async def upload_events(
    url: str, *, task_id: int, headers: Mapping[str, str], pieces: AsyncGenerator[bytes, None], room_s: float
) -> bool:
    """Send the pieces as they come; False when the orchestrator wanted no more of them before their end.

    Raises OutsideWorld when it cannot be reached, gives no room for `room_s`, or does not take it; and what `pieces`
    raises, upon which the body breaks off.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    sent = [(":method", "POST"), (":scheme", "https"), (":authority", parts.netloc), (":path", parts.path)]
    sent += [("taskid", str(task_id)), *((name.lower(), value) for name, value in headers.items())]
    try:
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=_unverified(), limit=2**18)
    except (OSError, TimeoutError) as error:
        raise OutsideWorld(f"task {task_id}: upload failed: {type(error).__name__}: {error}") from error
    exchange = _Exchange(reader, writer, room_s)
    try:
        is_whole = await exchange.run(sent, pieces)
    except (OSError, ProtocolError, TimeoutError) as error:
        raise OutsideWorld(f"task {task_id}: upload failed: {type(error).__name__}: {error}") from error
    finally:
        writer.close()
    if exchange.status != HTTPStatus.OK:
        text = exchange.answer.decode(errors="replace").strip()
        raise OutsideWorld(f"task {task_id}: upload refused with {exchange.status} {text}")
    return is_whole


class _Exchange:
    """One request and its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, room_s: float) -> None:
        self._reader = reader
        self._writer = writer
        self._room_s = room_s
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._stream = 1
        self._has_room = asyncio.Event()
        self.status = 0
        self.answer = bytearray()

    async def run(self, headers: list[tuple[str, str]], pieces: AsyncGenerator[bytes, None]) -> bool:
        """Whether all pieces were sent. Raises OSError, ProtocolError, TimeoutError and what `pieces` raises."""
        self._http.initiate_connection()
        self._http.send_headers(self._stream, headers)
        await self._flush()
        sending, answering = asyncio.ensure_future(self._send(pieces)), asyncio.ensure_future(self._read())
        try:
            await asyncio.wait((sending, answering), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                sending.result()
                await asyncio.wait((answering,), timeout=_ANSWER_S)
                if not answering.done():
                    raise TimeoutError("no answer")
            answering.result()
            return sending.done()
        finally:
            for task in (sending, answering):
                task.cancel()
                with suppress(asyncio.CancelledError, OSError, ProtocolError, TimeoutError):
                    await task

    async def _send(self, pieces: AsyncGenerator[bytes, None]) -> None:
        async for piece in pieces:
            start = 0
            while start < len(piece):
                size = min(len(piece) - start, await self._room())
                self._http.send_data(self._stream, piece[start : start + size])
                await self._flush()
                start += size
        self._http.end_stream(self._stream)
        await self._flush()

    async def _room(self) -> int:
        """Bytes that may be sent now, at least one."""
        async with asyncio.timeout(self._room_s):
            while (window := self._http.local_flow_control_window(self._stream)) <= 0:
                self._has_room.clear()
                await self._has_room.wait()
        return min(window, self._http.max_outbound_frame_size)

    async def _read(self) -> None:
        """To the end of the answer."""
        while data := await self._reader.read(65536):
            for event in self._http.receive_data(data):
                if self._take(event):
                    return
            await self._flush()
        raise ConnectionResetError("the connection was closed")

    def _take(self, event: Event) -> bool:
        """Whether nothing more has to be waited for."""
        match event:
            case ResponseReceived():
                self.status = int(dict(event.headers)[b":status"])
            case DataReceived():
                self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.answer += event.data[: _MAX_ANSWER - len(self.answer)]
            case StreamEnded():
                return True
            case StreamReset() if self.status:
                return True
            case StreamReset() | ConnectionTerminated():
                raise ConnectionResetError(f"ended with the HTTP/2 error {event.error_code}")
            case WindowUpdated() | RemoteSettingsChanged():
                self._has_room.set()
        return False

    async def _flush(self) -> None:
        self._writer.write(self._http.data_to_send())
        await self._writer.drain()


def _unverified() -> ssl.SSLContext:
    """Nobody verifies certificates here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context
