"""The MPEG-7 video signature (ISO/IEC 15938-3) of a rendition: FFmpeg's `signature` filter, which PyAV's FFmpeg lacks.

Bit for bit what ffmpeg writes as `signature=format=binary`, down to its rounding on pictures above 4K. Only the field
for ticks a second, which has 16 bits, is cut where ffmpeg writes beyond it.
"""

from __future__ import annotations  # av's generic classes are generic for the type checker only

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from livefleet.media.signature_elements import CATEGORIES, WORDS, Rectangle
from livefleet.media.timing import tick

__all__ = ["VideoSignature"]

_GRID = 32
_MULTIPLE = 476_985_600  # of every number of cells that an element takes the mean of, so that means are whole
_ROUNDED = 65_536  # instead of it, for pictures whose sums would not fit
_MOST_EXACT = ((1 << 63) - 1) // (_MULTIPLE * 255)
_MIDDLE = 128
_EQUAL = 0.333  # of a category's elements count as neither large nor small
_TRITS = np.array([81, 27, 9, 3, 1], np.int64)  # five to a byte
_STEP = 45  # frames between the beginnings of segments, each of which is two steps long
_WORD_VALUES = 3**5


class VideoSignature:
    """Takes a rendition's frames in order. Belongs to one thread at a time."""

    def __init__(self) -> None:
        self._elements = _Elements()
        self._first: VideoFrame | None = None
        self._pts: list[int] = []
        self._waiting: list[NDArray[np.uint64]] = []  # grids of one shape
        self._shape: _Shape | None = None
        self._trits: list[NDArray[np.int64]] = []
        self._confidence: list[NDArray[np.int64]] = []

    def add(self, frame: VideoFrame) -> None:
        """See the next frame: 8-bit, its first plane the luma."""
        shape = self._shape
        if shape is None or (shape.width, shape.height) != (frame.width, frame.height):
            self._settle()
            self._shape = shape = _Shape.of(frame.width, frame.height)
        self._first = self._first or frame
        self._pts.append(frame.pts or 0)
        self._waiting.append(shape.sums(frame))
        if len(self._waiting) == _STEP:
            self._settle()

    def binary(self) -> bytes:
        """The signature of all frames seen. Raises ValueError when there were none."""
        self._settle()
        if self._first is None:
            raise ValueError("a signature of no frames")
        trits = np.concatenate(self._trits)
        words = np.concatenate([_in_bytes(trits[:, list(word)]) for word in WORDS], axis=1)
        unit = tick(self._first)
        bits = _Bits()
        bits.put((1, 32), (1, 1), (0, 32), (self._first.width - 1, 16), (self._first.height - 1, 16), (0, 32))
        bits.put((len(trits), 32), (unit.denominator // unit.numerator, 16), (1, 1), (0, 32), (self._pts[-1], 32))
        starts = range(0, len(trits), _STEP)
        bits.put((len(starts), 32))
        for start in starts:
            last = min(start + 2 * _STEP, len(trits)) - 1
            bits.put((start, 32), (last, 32), (1, 1), (self._pts[start], 32), (self._pts[last], 32))
            bits.extend(_bag(words[start : last + 1]))
        bits.put((0, 1))
        frames = np.concatenate([np.concatenate(self._confidence)[:, None], words, _in_bytes(trits)], axis=1)
        for pts, frame in zip(self._pts, np.unpackbits(frames.astype(np.uint8), axis=1), strict=True):
            bits.put((1, 1), (pts, 32))
            bits.extend(frame)
        return bits.to_bytes()

    def _settle(self) -> None:
        if self._waiting and self._shape is not None:
            shape = self._shape
            grids = np.stack(self._waiting) * shape.weights // shape.divisor
            trits, confidence = self._elements.compare(grids, shape.unit)
            self._trits.append(trits)
            self._confidence.append(confidence)
            self._waiting.clear()


@dataclass(frozen=True, slots=True)
class _Parts:
    """How a side falls into 32 parts, which differ by a row or column where 32 does not divide it."""

    edges: tuple[int, ...]  # where they begin, and the end of the last
    weights: tuple[int, ...]  # what makes a larger part count no more than the others
    common: int  # the denominator that all have then

    @classmethod
    def of(cls, side: int) -> Self:
        edges = tuple(-(-side * part // _GRID) for part in range(_GRID + 1))
        least, rest = divmod(side, _GRID)
        if not rest:
            return cls(edges, (1,) * _GRID, least)
        weights = tuple(least + 1 if end - begin == least else least for begin, end in pairwise(edges))
        return cls(edges, weights, least * (least + 1))


@dataclass(frozen=True, slots=True)
class _Shape:
    """A picture's size, and what it means for the sums of its cells."""

    width: int
    height: int
    across: _Parts
    down: _Parts
    weights: NDArray[np.uint64]  # [32, 32]
    divisor: np.uint64
    unit: int  # what a weighted mean of one step of luma is

    @classmethod
    def of(cls, width: int, height: int) -> Self:
        across, down = _Parts.of(width), _Parts.of(height)
        cells, columns = across.common * down.common, width // _GRID
        is_exact = columns * (columns + 1) * (height // _GRID * height // _GRID + 1) <= _MOST_EXACT
        factor, divisor = (_MULTIPLE, 1) if is_exact else (_ROUNDED, cells)
        weights = np.outer(np.array(down.weights), np.array(across.weights)).astype(np.uint64) * np.uint64(factor)
        return cls(width, height, across, down, weights, np.uint64(divisor), factor * cells // divisor)

    def sums(self, frame: VideoFrame) -> NDArray[np.uint64]:
        """The sum of each cell's luma, [32, 32]."""
        plane = frame.planes[0]
        luma = np.asarray(memoryview(plane)).reshape(-1, plane.line_size)[: self.height, : self.width]
        rows = np.empty((_GRID, self.width), np.uint16)  # enough for 8,192 lines, 256 a part
        for row, (top, end) in zip(rows, pairwise(self.down.edges), strict=True):
            np.add.reduce(luma[top:end], axis=0, dtype=np.uint16, out=row)
        return np.add.reduceat(rows, self.across.edges[:-1], axis=1, dtype=np.uint64)


class _Elements:
    """The standard's elements, laid out so that numpy takes them all at once."""

    def __init__(self) -> None:
        elements = [element for category in CATEGORIES for element in category]
        groups = [plus for plus, _ in elements] + [minus for _, minus in elements if minus]
        rectangles = [rectangle for group in groups for rectangle in group]
        self._corners = np.array([_corners(rectangle) for rectangle in rectangles]).T
        self._begins = np.cumsum([0] + [len(group) for group in groups[:-1]])
        self._cells = np.array([sum(_cells(rectangle) for rectangle in group) for group in groups], np.uint64)
        self._is_difference = np.array([bool(minus) for _, minus in elements])
        self._edges = np.cumsum([len(category) for category in CATEGORIES])[:-1]

    def compare(self, grids: NDArray[np.uint64], unit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Elements, [frames, 380]: 0 smaller, 1 equal, 2 larger; and how sure that is, [frames], 0 to 255.

        Sums of very large pictures run over 64 bits, which does no harm: the means fit again.
        """
        areas = np.zeros((len(grids), _GRID + 1, _GRID + 1), np.uint64)
        areas[:, 1:, 1:] = grids.cumsum(axis=1).cumsum(axis=2)
        corners = areas.reshape(len(grids), -1)[:, self._corners]
        rectangles = corners[:, 0] - corners[:, 1] - corners[:, 2] + corners[:, 3]
        means = (np.add.reduceat(rectangles, self._begins, axis=1) // self._cells).astype(np.int64)
        plus, minus = np.split(means, [len(self._is_difference)], axis=1)
        values = plus - _MIDDLE * unit
        values[:, self._is_difference] = plus[:, self._is_difference] - minus
        sizes = np.abs(values)
        bounds = [
            np.sort(part, axis=1)[:, [int(part.shape[1] * _EQUAL)]] for part in np.split(sizes, self._edges, axis=1)
        ]
        limits = np.repeat(np.concatenate(bounds, axis=1), np.diff([0, *self._edges, sizes.shape[1]]), axis=1)
        trits = np.where(sizes <= limits, 1, np.where(values < 0, 0, 2))
        sure = np.sort(sizes[:, self._is_difference] * 8 // unit, axis=1)
        return trits, np.minimum(sure[:, sure.shape[1] // 2], 255)


def _corners(rectangle: Rectangle) -> tuple[int, int, int, int]:
    """Where a table of summed areas has what makes the sum of a rectangle: to be added, taken, taken, added."""
    left, top, right, bottom = rectangle
    wide = _GRID + 1
    return bottom * wide + right, top * wide + right, bottom * wide + left, top * wide + left


def _cells(rectangle: Rectangle) -> int:
    left, top, right, bottom = rectangle
    return (right - left) * (bottom - top)


def _in_bytes(trits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Five to a byte: [frames, 5 n] to [frames, n]."""
    return trits.reshape(len(trits), -1, len(_TRITS)) @ _TRITS


def _bag(words: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Which values each of the five words has in some frame: bits, [5 x 243]."""
    occurs = np.zeros((len(WORDS), _WORD_VALUES), np.uint8)
    occurs[np.arange(len(WORDS)), words] = 1
    return occurs.reshape(-1)


class _Bits:
    """Numbers of any width, packed without gaps."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.uint8]] = []

    def put(self, *numbers: tuple[int, int]) -> None:
        """Values and widths; of a value too large for its width the lowest bits."""
        text = "".join(f"{value & (1 << width) - 1:0{width}b}" for value, width in numbers)
        self._parts.append(np.array([int(bit) for bit in text], np.uint8))

    def extend(self, bits: NDArray[np.uint8]) -> None:
        self._parts.append(bits)

    def to_bytes(self) -> bytes:
        return np.packbits(np.concatenate(self._parts)).tobytes()
