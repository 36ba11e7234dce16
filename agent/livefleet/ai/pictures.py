"""How large a picture is, from its header: PNG, JPEG and GIF, the formats that gateways read. No pixel is decoded.

Source: PNG 11.2.2 IHDR, ITU T.81 B.2.2 frame header, GIF89a 18. Gateways pay for what Go's `image.DecodeConfig` reads.
"""

import re
import struct
import zlib

from livefleet.ai.errors import Unbillable

__all__ = ["MAX_PIXELS", "MAX_SIDE", "UNKNOWN_FORMAT", "bounded_size_of", "size_of"]

MAX_SIDE = 8192
"""Pixels of a side that are taken where a pipeline has no limit of its own."""

MAX_PIXELS = 8192 * 4320
"""Of a whole picture, likewise: decoded it takes 106 MB."""

UNKNOWN_FORMAT = "image: unknown format"
"""What Go's decoders say of anything else."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_GIF = (b"GIF87a", b"GIF89a")
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)  # fill bytes before it, and junk, are passed over as in Go
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive: what Go decodes
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_JPEG_ENDS = frozenset({0xD9, 0xDA})  # end of the image, start of its data
_MAX_JPEG_SEGMENTS = 4096


def bounded_size_of(data: bytes, *, max_side: int = MAX_SIDE, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) of a picture that may be decoded. Raises ValueError, and Unbillable as `size_of`."""
    width, height = size_of(data)
    if max(width, height) > max_side:
        raise ValueError(f"the image is {width}x{height}, at most {max_side} pixels a side are taken")
    if width * height > max_pixels:
        raise ValueError(f"the image has {width * height} pixels, at most {max_pixels} are taken")
    return width, height


def size_of(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels, neither of them 0. Raises Unbillable with the reference's text.

    A decoder may see another size in a file that contradicts itself: compare before decoding.
    """
    if data.startswith(_PNG):
        width, height = _png(data)
    elif data.startswith(_GIF):
        width, height = _gif(data)
    elif data.startswith(_JPEG):
        width, height = _jpeg(data)
    else:
        raise Unbillable(UNKNOWN_FORMAT)
    if not width or not height:
        raise Unbillable(f"the image is {width}x{height}")
    return width, height


def _png(data: bytes) -> tuple[int, int]:
    header = data[8:33]
    if len(header) < 25:
        raise Unbillable("unexpected EOF")
    length, name, width, height = struct.unpack_from(">I4sII", header)
    if name != b"IHDR" or length != 13:
        raise Unbillable("png: invalid format: not an IHDR chunk first")
    if zlib.crc32(header[4:21]) != int.from_bytes(header[21:25]):
        raise Unbillable("png: invalid format: invalid checksum")
    if max(width, height) >= 2**31:
        raise Unbillable("png: invalid format: non-positive dimension")
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    if len(data) < 13:
        raise Unbillable("gif: reading header: unexpected EOF")
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        found = _JPEG_MARKER.search(data, at)
        if found is None:
            raise Unbillable("unexpected EOF")
        marker, at = data[found.start() + 1], found.end()
        if marker in _JPEG_BARE:
            continue
        if marker in _JPEG_ENDS:
            break
        if at + 2 > len(data):
            raise Unbillable("unexpected EOF")
        length = int.from_bytes(data[at : at + 2])
        if length < 2:
            raise Unbillable("invalid JPEG format: short segment length")
        if marker in _JPEG_FRAMES:
            return _jpeg_frame(data[at : at + length])
        at += length
    raise Unbillable("invalid JPEG format: missing SOF marker")


def _jpeg_frame(segment: bytes) -> tuple[int, int]:
    """Length, precision, height, width, number of components."""
    if len(segment) < 8:
        raise Unbillable("invalid JPEG format: SOF has wrong length")
    height, width = struct.unpack_from(">HH", segment, 3)
    return width, height
