"""Peers that nobody wants: raw bytes over TLS, HTTP/2 frames in any order, and what the server makes of them."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import hpack
import hyperframe.frame as frames
from hyperframe.exceptions import HyperframeError

from livefleet.wire.channel import Endpoint, insecure_tls_context
from tests.lab.processes import descendants

__all__ = ["Answer", "Http2", "RawPeer", "a_raw_peer", "an_http2_peer", "exchange", "resident_mb", "split_answers"]

PATIENCE_S = 30.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP/1.1 answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class RawPeer:
    """A TLS connection in the test's hands."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Raises ConnectionError when the other side has closed."""
        self.writer.write(data)
        async with asyncio.timeout(PATIENCE_S):
            await self.writer.drain()

    async def rest(self, *, patience_s: float = PATIENCE_S) -> bytes:
        """All that comes until the other side closes. Raises TimeoutError where it never does."""
        data = b""
        async with asyncio.timeout(patience_s):
            try:
                while chunk := await self.reader.read(65536):
                    data += chunk
            except (ConnectionError, ssl.SSLError):
                pass
        return data

    async def head(self, *, patience_s: float = PATIENCE_S) -> bytes:
        """An answer's status line and headers; empty when the connection ends before."""
        async with asyncio.timeout(patience_s):
            try:
                return await self.reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                return b""


@asynccontextmanager
async def a_raw_peer(uri: str, *, alpn: str | None = "http/1.1") -> AsyncIterator[RawPeer]:
    """Connected; the connection is cut on leaving."""
    endpoint = _endpoint(uri)
    context = insecure_tls_context([alpn] if alpn else ["http/1.1"])
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context)
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.transport.abort()


async def exchange(uri: str, request: bytes) -> list[Answer]:
    """All answers to these bytes, the sending side closed afterwards or not as TLS has it."""
    async with a_raw_peer(uri) as peer:
        with contextlib.suppress(ConnectionError):
            await peer.send(request)
        return split_answers(await peer.rest())


def split_answers(data: bytes) -> list[Answer]:
    """HTTP/1.1 answers with lengths, chunks, or the connection's end as their end."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "content-length" in headers:
            length = int(headers["content-length"])
            body, data = data[:length], data[length:]
        elif headers.get("transfer-encoding") == "chunked":
            body = b""
            while data:
                size, _, data = data.partition(b"\r\n")
                length = int(size, 16)
                body, data = body + data[:length], data[length + 2 :]
                if not length:
                    break
        else:
            body, data = data, b""
        found.append(Answer(int(first.split()[1]), headers, body))
    return found


class Http2:
    """An HTTP/2 connection frame by frame. It reads in the background, and remembers what came."""

    def __init__(self, peer: RawPeer) -> None:
        self._peer = peer
        self._decoder = hpack.Decoder()
        self._buffer = b""
        self.encoder = hpack.Encoder()
        self.headers: dict[int, dict[str, str]] = {}  # of answers, by stream
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.settings: dict[int, int] = {}
        self.goaway: int | None = None  # its error code
        self.closed = False

    async def start(self, settings: dict[int, int] | None = None) -> None:
        """Preface and SETTINGS."""
        await self._peer.send(PREFACE + frames.SettingsFrame(0, settings=settings or {}).serialize())

    async def send(self, *parts: frames.Frame | bytes) -> None:
        """Frames, or bytes that look like some. A closed connection swallows them."""
        data = b"".join(part if isinstance(part, bytes) else part.serialize() for part in parts)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self._peer.send(data)

    def request(
        self,
        stream: int,
        fields: Iterable[tuple[str, str]] = (),
        *,
        method: str = "GET",
        path: str = "/healthz",
        authority: str = "localhost",
        ends: bool = True,
    ) -> frames.HeadersFrame:
        """A HEADERS frame with the usual pseudo headers and these fields."""
        head = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
        return self.headers_of(stream, [*head, *fields], ends=ends)

    def headers_of(self, stream: int, fields: Iterable[tuple[str, str]], *, ends: bool = True) -> frames.HeadersFrame:
        """A HEADERS frame of exactly these fields."""
        frame = frames.HeadersFrame(stream, self.encoder.encode(fields))
        frame.flags.add("END_HEADERS")
        if ends:
            frame.flags.add("END_STREAM")
        return frame

    async def until(self, *streams: int, patience_s: float = PATIENCE_S) -> None:
        """Read until these streams are answered or reset, or the connection ends. Acknowledges SETTINGS and PINGs."""
        async with asyncio.timeout(patience_s):
            while not self.closed and not all(s in self.ended or s in self.resets for s in streams):
                await self._read()

    async def until_closed(self, *, patience_s: float = PATIENCE_S) -> None:
        """Read until the connection ends."""
        async with asyncio.timeout(patience_s):
            while not self.closed:
                await self._read()

    async def _read(self) -> None:
        try:
            chunk = await self._peer.reader.read(65536)
        except (ConnectionError, ssl.SSLError):
            chunk = b""
        if not chunk:
            self.closed = True
            return
        self._buffer += chunk
        while len(self._buffer) >= 9:
            try:
                frame, length = frames.Frame.parse_frame_header(memoryview(self._buffer[:9]))
            except HyperframeError:
                self.closed = True
                return
            if len(self._buffer) < 9 + length:
                return
            frame.parse_body(memoryview(self._buffer[9 : 9 + length]))
            self._buffer = self._buffer[9 + length :]
            await self._take(frame)

    async def _take(self, frame: frames.Frame) -> None:
        stream = frame.stream_id
        match frame:
            case frames.SettingsFrame() if "ACK" not in frame.flags:
                self.settings |= frame.settings
                await self.send(frames.SettingsFrame(0, flags=["ACK"]))
            case frames.PingFrame() if "ACK" not in frame.flags:
                await self.send(frames.PingFrame(0, frame.opaque_data, flags=["ACK"]))
            case frames.HeadersFrame():
                self.headers[stream] = dict(self._decoder.decode(frame.data))
            case frames.DataFrame():
                self.bodies[stream] = self.bodies.get(stream, b"") + frame.data
                if frame.data:
                    await self.send(
                        *(frames.WindowUpdateFrame(s, window_increment=len(frame.data)) for s in (0, stream))
                    )
            case frames.RstStreamFrame():
                self.resets[stream] = frame.error_code
            case frames.GoAwayFrame():
                self.goaway = frame.error_code
        if "END_STREAM" in frame.flags:
            self.ended.add(stream)

    def status(self, stream: int) -> int | None:
        """Of an answer; None where there is none."""
        text = self.headers.get(stream, {}).get(":status")
        return None if text is None else int(text)


@asynccontextmanager
async def an_http2_peer(uri: str, *, settings: dict[int, int] | None = None) -> AsyncIterator[Http2]:
    """Connected, preface and SETTINGS sent."""
    async with a_raw_peer(uri, alpn="h2") as peer:
        connection = Http2(peer)
        await connection.start(settings)
        yield connection


def resident_mb(pid: int) -> float:
    """Memory that a process and all below it hold; nothing for what is gone."""
    return sum(_resident_mb(each) for each in (pid, *descendants(pid)))


def _resident_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0)


def _endpoint(uri: str) -> Endpoint:
    host, _, port = uri.removeprefix("https://").rpartition(":")
    return Endpoint(host, int(port))
