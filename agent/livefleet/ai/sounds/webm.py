"""WebM and Matroska: `Duration` of the segment's `Info` (RFC 9559 section 5.1.2), in EBML elements (RFC 8794)."""

import struct
from collections.abc import Iterator

__all__ = ["seconds_of"]

_EBML, _SEGMENT, _INFO = 0x1A45DFA3, 0x18538067, 0x1549A966
_SCALE, _DURATION = 0x2AD7B1, 0x4489
_MAX_ELEMENTS = 20_000


def seconds_of(data: bytes) -> float:
    """What `Info` says; a live recording without it has no duration. Raises ValueError, IndexError or struct.error."""
    info = _first(data, _first(data, range(len(data)), _SEGMENT), _INFO)
    scale, duration = 1_000_000, 0.0
    for name, content in _elements(data, info):
        value = data[content.start : content.stop]
        if name == _SCALE:
            scale = int.from_bytes(value, "big")
        elif name == _DURATION:
            (duration,) = struct.unpack(">f" if len(value) == 4 else ">d", value)
    return duration * scale / 1e9


def _first(data: bytes, within: range, wanted: int) -> range:
    for name, content in _elements(data, within):
        if name == wanted:
            return content
    raise ValueError(f"no element {wanted:X}")


def _elements(data: bytes, within: range) -> Iterator[tuple[int, range]]:
    """Names and where their content lies."""
    at, end = within.start, within.stop
    for _ in range(_MAX_ELEMENTS):
        if at >= end:
            return
        length = 9 - data[at].bit_length()
        name = int.from_bytes(data[at : at + length], "big")
        at += length
        length = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + length], "big") & (1 << 7 * length) - 1
        at += length
        unknown = size == (1 << 7 * length) - 1
        content = range(at, end if unknown else min(end, at + size))
        yield name, content
        at = content.stop
    raise ValueError("too many elements")
