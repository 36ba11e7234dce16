"""The blocks that were seen, so that a chain which has become another one is noticed."""

from collections import deque
from dataclasses import dataclass

from livefleet.chain.rpc import Header

__all__ = ["Ancestry", "Reorganisation", "SeenBlock"]

_KEPT = 64


@dataclass(frozen=True, slots=True)
class SeenBlock:
    """A block of the node's own (L2) chain."""

    number: int
    hash: bytes
    seen_at: float  # monotonic seconds


@dataclass(frozen=True, slots=True)
class Reorganisation:
    """Blocks that were seen are part of the chain no more."""

    kept: int  # the highest block seen that still stands; -1: none of those remembered does
    dropped: int  # the highest block seen before


class Ancestry:
    """The last blocks that were looked at, oldest first; not every block of the chain."""

    def __init__(self) -> None:
        self._seen: deque[SeenBlock] = deque(maxlen=_KEPT)

    @property
    def newest(self) -> SeenBlock | None:
        """The block that was looked at last."""
        return self._seen[-1] if self._seen else None

    def seen(self) -> tuple[SeenBlock, ...]:
        """All that are remembered, the newest first."""
        return tuple(reversed(self._seen))

    def below(self, number: int) -> SeenBlock | None:
        """The newest that is not above `number`."""
        return next((seen for seen in reversed(self._seen) if seen.number <= number), None)

    def contradicts(self, header: Header) -> bool:
        """Whether this block cannot follow on those that were seen.

        A lower block than before is no contradiction: the endpoint that gives it may be behind.
        """
        known = self.below(header.number)
        if known is None:
            return False
        if known.number == header.number:
            return known.hash != header.hash
        return known.number == header.number - 1 and known.hash != header.parent_hash

    @property
    def blocks_per_s(self) -> float:
        """How fast blocks have come; 0 while that is not known."""
        if len(self._seen) < 2:
            return 0.0
        first, last = self._seen[0], self._seen[-1]
        return (last.number - first.number) / max(last.seen_at - first.seen_at, 1e-3)

    def add(self, header: Header, now: float) -> None:
        """Remember a block that is higher than all before. `now`: monotonic seconds."""
        if not self._seen or header.number > self._seen[-1].number:
            self._seen.append(SeenBlock(header.number, header.hash, now))

    def drop_above(self, number: int) -> None:
        """Forget what stands no more."""
        while self._seen and self._seen[-1].number > number:
            self._seen.pop()
