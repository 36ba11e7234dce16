"""WAV: RIFF chunks (Microsoft's WAVEFORMATEX), and RF64 for what is past 4 GiB."""

import struct
from dataclasses import dataclass

__all__ = ["seconds_of"]

_MAX_CHUNKS = 1000
_UNCOMPRESSED = frozenset({0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE})
"""PCM, float, A-law, mu-law, and the extensible form of them."""


@dataclass(frozen=True, slots=True)
class _Format:
    compressed: bool
    rate: int  # samples a second
    byte_rate: float  # bytes a second


def seconds_of(data: bytes) -> float:
    """Bytes of samples that are there, over bytes a second. Raises ValueError, ArithmeticError or struct.error."""
    if data[8:12] != b"WAVE":
        raise ValueError("RIFF, but not WAVE")
    at, samples, form = 12, 0, None
    for _ in range(_MAX_CHUNKS):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt ":
            form = _format_at(data, at)
        elif name == b"fact" and form is not None and form.compressed:
            (samples,) = struct.unpack_from("<I", data, at)
        elif name == b"data" and form is not None:
            # What streams are written with (0 or 2**32 - 1) and what was cut off count for the bytes that are there.
            there = len(data) - at
            return samples / form.rate if samples else min(size or there, there) / form.byte_rate
        at += size + size % 2
    raise ValueError("no samples")


def _format_at(data: bytes, at: int) -> _Format:
    kind, channels, rate, average, block, bits = struct.unpack_from("<HHIIHH", data, at)
    if kind in _UNCOMPRESSED:
        return _Format(compressed=False, rate=rate, byte_rate=rate * block)
    return _Format(compressed=True, rate=rate, byte_rate=rate * channels * bits / 8 or average)
