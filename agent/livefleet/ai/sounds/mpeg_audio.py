"""MP3 and the other MPEG audio layers (ISO/IEC 11172-3, 13818-3): frames without a container."""

import struct
from dataclasses import dataclass

__all__ = ["seconds_of"]

_SEARCHED = 32 * 1024  # bytes in which the first frame has to start
_AVERAGED = 64  # frames that the mean bit rate is taken of, where no header tells the number of frames

_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by version (2 stands for 2.5 too) and layer."""

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Sample rates by the version's two bits."""

_HAS_FRAMES = 1
_XING_FIELDS = ((_HAS_FRAMES, 4), (2, 4), (4, 100), (8, 4))
"""Flags and sizes of the fields of Xing's tag: frames, bytes, table of contents, quality."""


@dataclass(frozen=True, slots=True)
class _Frame:
    rate: int  # samples a second
    samples: int
    bit_rate: int
    size: int  # bytes
    side: int  # bytes of header and side information, behind which Xing's tag lies


def seconds_of(data: bytes) -> float:
    """From the tag that encoders put into the first frame, else from the mean bit rate. Raises ValueError."""
    start = _first_frame(data)
    frame = _frame_at(data, start)
    assert frame is not None
    if samples := _told_samples(data, start, frame):
        return samples / frame.rate
    end = len(data) - (128 if data[-128:-125] == b"TAG" else 0)
    return (end - start) * 8 / _mean_bit_rate(data, start)


def _first_frame(data: bytes) -> int:
    """Where a frame starts that two more follow (or the end)."""
    at = data.find(b"\xff", 0, _SEARCHED)
    while at >= 0:
        if _are_frames(data, at, 3):
            return at
        at = data.find(b"\xff", at + 1, _SEARCHED)
    raise ValueError("no MPEG audio frame")


def _are_frames(data: bytes, at: int, count: int) -> bool:
    for number in range(count):
        frame = _frame_at(data, at)
        if frame is None:
            return number > 0 and at == len(data)
        at += frame.size
    return True


def _frame_at(data: bytes, at: int) -> _Frame | None:
    if len(data) - at < 4:
        return None
    (head,) = struct.unpack_from(">I", data, at)
    version, layer = head >> 19 & 3, 4 - (head >> 17 & 3)
    number, rate_number = head >> 12 & 15, head >> 10 & 3
    if head >> 21 != 0x7FF or version == 1 or layer == 4 or number in {0, 15} or rate_number == 3:
        return None
    generation = 1 if version == 3 else 2
    rate = _RATES[version][rate_number]
    bit_rate = _KBITS[generation, layer][number - 1] * 1000
    padding = head >> 9 & 1
    if layer == 1:
        return _Frame(rate, 384, bit_rate, (12 * bit_rate // rate + padding) * 4, 4)
    samples = 576 if layer == 3 and generation == 2 else 1152
    mono = head >> 6 & 3 == 3
    side = 4 + ((17 if mono else 32) if generation == 1 else (9 if mono else 17))
    return _Frame(rate, samples, bit_rate, samples // 8 * bit_rate // rate + padding, side)


def _told_samples(data: bytes, start: int, frame: _Frame) -> int:
    """Samples behind the first frame, as the tag in it says: Xing's (LAME's, FFmpeg's) or Fraunhofer's; 0: no tag."""
    tag = start + frame.side
    if data[tag : tag + 4] in {b"Xing", b"Info"}:
        flags, count = struct.unpack_from(">II", data, tag + 4)
        return count * frame.samples - _padding(data, tag, flags) if flags & _HAS_FRAMES else 0
    if data[start + 36 : start + 40] == b"VBRI":
        return int(struct.unpack_from(">I", data, start + 36 + 14)[0]) * frame.samples
    return 0


def _padding(data: bytes, tag: int, flags: int) -> int:
    """Samples that the encoder added at both ends, as LAME's part of the tag says."""
    part = tag + 8 + sum(size for flag, size in _XING_FIELDS if flags & flag)
    if data[part : part + 4] not in {b"LAME", b"Lavf", b"Lavc"}:
        return 0
    pads = int.from_bytes(data[part + 21 : part + 24], "big")
    return (pads >> 12) + (pads & 0xFFF)


def _mean_bit_rate(data: bytes, start: int) -> float:
    """Of the first frames."""
    rates: list[int] = []
    while len(rates) < _AVERAGED and (frame := _frame_at(data, start)) is not None:
        rates.append(frame.bit_rate)
        start += frame.size
    return sum(rates) / len(rates)
