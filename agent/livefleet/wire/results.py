"""How a worker uploads a task's result: headers, and a multipart body. Both sides of the split.

Source: go-livepeer server/ot_rpc.go.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from livefleet.kernel import Pixels
from livefleet.media import Container, Profile, Rendition
from livefleet.wire.multipart import BadUpload, MultipartReader

__all__ = [
    "ERROR_TYPE",
    "MAX_PART",
    "MULTIPART_TYPE",
    "PROTOCOL_VERSION",
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

_HASH_TYPE = "application/octet-stream"
_PART_TYPES = {Container.MPEGTS: "video/mp2t", Container.MP4: "video/mp4"}


def encode_result(profiles: Iterable[Profile], renditions: Iterable[Rendition], boundary: str) -> Iterator[bytes]:
    """The body, rendition by rendition in profile order, each one's perceptual hash after it."""
    for profile, rendition in zip(profiles, renditions, strict=True):
        yield (
            f"--{boundary}\r\nContent-Length: {len(rendition.data)}\r\n"
            f"Content-Type: {_PART_TYPES[profile.container]}\r\nPixels: {rendition.pixels}\r\n\r\n"
        ).encode()
        yield rendition.data
        yield b"\r\n"
        if rendition.perceptual_hash is not None:
            length = len(rendition.perceptual_hash)
            yield f"--{boundary}\r\nContent-Length: {length}\r\nContent-Type: {_HASH_TYPE}\r\n\r\n".encode()
            yield rendition.perceptual_hash
            yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


class ResultReader:
    """Takes a body piece by piece.

    A part is a rendition exactly when it has a Pixels header; others are the hash of the rendition before them.
    """

    def __init__(self, content_type: str, *, max_parts: int, max_part: int = MAX_PART) -> None:
        """Raises BadUpload for a content type without a boundary."""
        self._reader = MultipartReader(content_type, max_parts=max_parts, max_part=max_part)

    def feed(self, chunk: bytes) -> None:
        """Raises BadUpload."""
        self._reader.feed(chunk)

    def renditions(self) -> tuple[Rendition, ...]:
        """After the last piece. Raises BadUpload for a body that broke off or a part whose Pixels are no number."""
        found: list[Rendition] = []
        for part in self._reader.parts():
            pixels = part.headers.get("pixels")
            if pixels is None:
                if not found:
                    raise BadUpload("a perceptual hash without a rendition before it")
                found[-1] = replace(found[-1], perceptual_hash=part.data)
                continue
            if not pixels.isdecimal() or len(pixels) > _MAX_DIGITS or int(pixels) > _MAX_PIXELS:
                raise BadUpload(f"Pixels of a rendition are {pixels!r}")
            found.append(Rendition(part.data, Pixels(int(pixels))))
        return tuple(found)
