"""MP4 and its kin: boxes (ISO/IEC 14496-12); `mvhd` tells the duration, or the fragments do."""

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["seconds_of"]

_MAX_BOXES = 50_000


def seconds_of(data: bytes) -> float:
    """The presentation's duration; of a fragmented file, its fragments' sum. Raises ValueError or struct.error."""
    return _File(data).seconds()


class _Box(NamedTuple):
    name: bytes
    start: int
    end: int


class _File:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = _MAX_BOXES

    def seconds(self) -> float:
        top = list(self._boxes(0, len(self._data)))
        moov = self._inside(_first(top, b"moov"))
        scale, duration = self._scale_and_duration(_first(moov, b"mvhd").start)
        if duration:
            return duration / scale
        extends = self._inside(_first(moov, b"mvex"))
        for box in extends:
            if box.name == b"mehd":
                return float(self._long_or_int(box.start, box.start + 4) / scale)
        return self._seconds_of_fragments(top, moov, extends)

    def _seconds_of_fragments(self, top: list[_Box], moov: list[_Box], extends: list[_Box]) -> float:
        """The longest track's sum of sample durations."""
        scales = dict(self._scale_of(track) for track in moov if track.name == b"trak")
        defaults = {self._int(box.start + 4): self._int(box.start + 12) for box in extends if box.name == b"trex"}
        ticks = dict.fromkeys(scales, 0)
        for fragment in (box for box in top if box.name == b"moof"):
            for part in (box for box in self._inside(fragment) if box.name == b"traf"):
                number, length = self._ticks_of(self._inside(part), defaults)
                ticks[number] = ticks.get(number, 0) + length
        return max((ticks[number] / scale for number, scale in scales.items()), default=0.0)

    def _scale_of(self, track: _Box) -> tuple[int, int]:
        """A track's number, and its ticks a second."""
        inside = self._inside(track)
        header = _first(inside, b"tkhd").start
        number = self._int(header + (20 if self._data[header] == 1 else 12))
        media = self._inside(_first(inside, b"mdia"))
        return number, self._scale_and_duration(_first(media, b"mdhd").start)[0]

    def _scale_and_duration(self, at: int) -> tuple[int, int]:
        """Of `mvhd` or `mdhd`; all bits set means that it is not known."""
        if self._data[at] == 1:
            scale, duration = struct.unpack_from(">IQ", self._data, at + 20)
            return scale, 0 if duration == 2**64 - 1 else duration
        scale, duration = struct.unpack_from(">II", self._data, at + 12)
        return scale, 0 if duration == 2**32 - 1 else duration

    def _ticks_of(self, part: list[_Box], defaults: dict[int, int]) -> tuple[int, int]:
        """Track and duration of one `traf`."""
        header = _first(part, b"tfhd").start
        flags, number = self._flags(header), self._int(header + 4)
        default = defaults.get(number, 0)
        if flags & 0x8:
            default = self._int(header + 8 + 8 * bool(flags & 0x1) + 4 * bool(flags & 0x2))
        return number, sum(self._ticks_of_run(run.start, default) for run in part if run.name == b"trun")

    def _ticks_of_run(self, run: int, default: int) -> int:
        flags, samples = self._flags(run), self._int(run + 4)
        if not flags & 0x100:
            return samples * default
        at = run + 8 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
        fields = (flags & 0xF00).bit_count()
        end = at + 4 * samples * fields
        if end > len(self._data):
            raise ValueError("a run goes on past the end of the file")
        table = array("I", self._data[at:end])
        if sys.byteorder == "little":
            table.byteswap()
        return sum(table[::fields])

    def _inside(self, box: _Box) -> list[_Box]:
        return list(self._boxes(box.start, box.end))

    def _boxes(self, at: int, end: int) -> Iterator[_Box]:
        while end - at >= 8:
            self._left -= 1
            if self._left < 0:
                raise ValueError("too many boxes")
            size, name = struct.unpack_from(">I4s", self._data, at)
            head = 8
            if size == 1:
                size, head = struct.unpack_from(">Q", self._data, at + 8)[0], 16
            elif size == 0:
                size = end - at
            if size < head:
                raise ValueError("a box smaller than its head")
            yield _Box(name, at + head, min(end, at + size))
            at += size

    def _flags(self, at: int) -> int:
        return self._int(at) & 0xFFFFFF

    def _int(self, at: int) -> int:
        return int(struct.unpack_from(">I", self._data, at)[0])

    def _long_or_int(self, version: int, at: int) -> int:
        return int(struct.unpack_from(">Q" if self._data[version] == 1 else ">I", self._data, at)[0])


def _first(boxes: Iterable[_Box], name: bytes) -> _Box:
    for box in boxes:
        if box.name == name:
            return box
    raise ValueError(f"no {name.decode()} box")
