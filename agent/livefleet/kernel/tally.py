"""Numbers that rooms keep of their work, read at scrape. Bounded: what peers say never makes a new series for ever.

What falls out of the bound is added to a series whose labels are `OTHER`, so that sums over all series stay right.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

__all__ = ["LABEL_LENGTH", "OTHER", "Histogram", "Histograms", "LastValues", "Tally", "label"]

OTHER: Final = "other"

LABEL_LENGTH: Final = 96
"""Characters of a label's value that are kept."""

_LIMIT = 100

Labels = tuple[str, ...]
T = TypeVar("T")


def label(text: str) -> str:
    """`text`, which may come from a peer, as a label's value."""
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"


class Histogram:
    """How often values fell into ranges. `bounds` are the ranges' upper ends, included, in rising order."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Iterable[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)  # the last one: above all bounds
        self.total = 0.0

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add(self, other: "Histogram") -> "Histogram":
        """Take in what another one of the same bounds has counted."""
        self.counts = [ours + theirs for ours, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total
        return self


class _Bounded(Generic[T]):
    """Values by labels, the one touched longest ago first; at most `limit` beside those folded."""

    def __init__(self, limit: int, keep: int, new: Callable[[], T], fold: Callable[[T, T], T]) -> None:
        self._limit = limit
        self._keep = keep
        self._new = new
        self._fold = fold
        self._values: dict[Labels, T] = {}
        self._folded: dict[Labels, T] = {}

    def take(self, labels: Labels) -> T:
        """The value there, or a new one; whoever takes it puts it back."""
        return self._values.pop(labels, None) or self._new()

    def put(self, labels: Labels, value: T) -> None:
        self._values[labels] = value
        if len(self._values) > self._limit:
            oldest = next(iter(self._values))
            other = oldest[: self._keep] + (OTHER,) * (len(oldest) - self._keep)
            self._folded[other] = self._fold(self._folded.get(other) or self._new(), self._values.pop(oldest))

    def items(self) -> list[tuple[Labels, T]]:
        return [*self._values.items(), *self._folded.items()]


class Tally:
    """Sums by labels, `limit` of them told apart. The first `keep` labels are our own words and survive folding."""

    def __init__(self, *, limit: int = _LIMIT, keep: int = 0) -> None:
        self._sums: _Bounded[float] = _Bounded(limit, keep, float, lambda a, b: a + b)

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Add to the sum of these labels."""
        labels = tuple(map(label, labels))
        self._sums.put(labels, self._sums.take(labels) + by)

    def items(self) -> list[tuple[Labels, float]]:
        """Every sum with its labels."""
        return self._sums.items()

    def by(self, position: int) -> dict[str, float]:
        """Sums by one label alone."""
        found: dict[str, float] = {}
        for labels, value in self.items():
            found[labels[position]] = found.get(labels[position], 0.0) + value
        return found

    @property
    def total(self) -> float:
        """All of them together."""
        return sum(value for _, value in self.items())


class Histograms:
    """A histogram for each set of labels, bounded like a Tally."""

    def __init__(self, bounds: Iterable[float], *, limit: int = _LIMIT, keep: int = 0) -> None:
        self.bounds = tuple(bounds)
        self._kept: _Bounded[Histogram] = _Bounded(limit, keep, lambda: Histogram(self.bounds), Histogram.add)

    def observe(self, *labels: str, value: float) -> None:
        """Count a value under these labels."""
        labels = tuple(map(label, labels))
        histogram = self._kept.take(labels)
        histogram.observe(value)
        self._kept.put(labels, histogram)

    def items(self) -> list[tuple[Labels, Histogram]]:
        """Every histogram with its labels."""
        return self._kept.items()

    @property
    def whole(self) -> Histogram:
        """All of them as one."""
        whole = Histogram(self.bounds)
        for labels_and_histogram in self.items():
            whole.add(labels_and_histogram[1])
        return whole


class LastValues:
    """The last value by labels; the one set longest ago is forgotten beyond `limit`."""

    def __init__(self, *, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._values: dict[Labels, float] = {}
        self.last: float | None = None
        """The newest value of all; None before the first."""

    def set(self, *labels: str, value: float) -> None:
        """This is the value now."""
        labels = tuple(map(label, labels))
        self._values.pop(labels, None)
        self._values[labels] = self.last = value
        if len(self._values) > self._limit:
            del self._values[next(iter(self._values))]

    def items(self) -> list[tuple[Labels, float]]:
        """Every value with its labels."""
        return list(self._values.items())
