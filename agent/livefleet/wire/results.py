"""How a worker uploads a task's result: headers, and a multipart body. Both sides of the split.

Source: go-livepeer server/ot_rpc.go.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from livefleet.kernel import LivefleetError, Pixels
from livefleet.media import Container, Profile, Rendition

__all__ = [
    "ERROR_TYPE",
    "MAX_PART",
    "MULTIPART_TYPE",
    "PROTOCOL_VERSION",
    "BadUpload",
    "ResultReader",
    "encode_result",
]

PROTOCOL_VERSION = "Livepeer-Transcoder-1.0"
"""Value of `Authorization`: a version, not a secret; that is in `Credentials`."""

ERROR_TYPE = "livepeer/transcoding-error"
MULTIPART_TYPE = "multipart/mixed"
MAX_PART = 300_000_000
"""Bytes of one rendition."""

_MAX_PIXELS = 2**63 - 1  # what the answer to the gateway has room for
_MAX_DIGITS = len(str(_MAX_PIXELS))

_PART_TYPES = {Container.MPEGTS: "video/mp2t", Container.MP4: "video/mp4"}


class BadUpload(LivefleetError):
    """The multipart body of a result is broken or too large."""


def encode_result(profiles: Iterable[Profile], renditions: Iterable[Rendition], boundary: str) -> Iterator[bytes]:
    """The body, rendition by rendition in profile order."""
    for profile, rendition in zip(profiles, renditions, strict=True):
        yield (
            f"--{boundary}\r\nContent-Length: {len(rendition.data)}\r\n"
            f"Content-Type: {_PART_TYPES[profile.container]}\r\nPixels: {rendition.pixels}\r\n\r\n"
        ).encode()
        yield rendition.data
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


@dataclass(slots=True)
class _Part:
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0


class ResultReader:
    """Takes a body piece by piece.

    A part is a rendition exactly when it has a Pixels header; others are hashes of the rendition before them, which are
    read over.
    """

    def __init__(self, content_type: str, *, max_parts: int, max_part: int = MAX_PART) -> None:
        """Raises BadUpload for a content type without a boundary."""
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise BadUpload("no multipart boundary")
        self._parts: list[_Part] = []
        self._max_parts = max_parts
        self._max_part = max_part
        self._name = b""
        self._value = b""
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Raises BadUpload."""
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise BadUpload(str(error)) from error

    def renditions(self) -> tuple[Rendition, ...]:
        """After the last piece. Raises BadUpload for a body that broke off or a part whose Pixels are no number."""
        if not self._ended:
            raise BadUpload("unexpected end of the multipart body")
        found: list[Rendition] = []
        for part in self._parts:
            pixels = part.headers.get("pixels")
            if pixels is None:
                if not found:
                    raise BadUpload("a perceptual hash without a rendition before it")
                continue
            if not pixels.isdecimal() or len(pixels) > _MAX_DIGITS or int(pixels) > _MAX_PIXELS:
                raise BadUpload(f"Pixels of a rendition are {pixels!r}")
            found.append(Rendition(b"".join(part.chunks), Pixels(int(pixels))))
        return tuple(found)

    def _begin(self) -> None:
        if len(self._parts) >= self._max_parts:
            raise BadUpload(f"more than {self._max_parts} parts")
        self._parts.append(_Part())

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._parts[-1].headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1").strip()
        self._name = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._parts[-1]
        part.size += end - start
        if part.size > self._max_part:
            raise BadUpload(f"a part of more than {self._max_part} bytes")
        part.chunks.append(data[start:end])

    def _end(self) -> None:
        self._ended = True
