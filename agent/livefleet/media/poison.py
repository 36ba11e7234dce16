"""Segments that took worker processes down, remembered for a while by the hash of their bytes."""

from collections import OrderedDict
from dataclasses import dataclass

from livefleet.kernel import Clock

__all__ = ["PoisonMemory"]

_STRIKES = 2
_TTL_S = 600.0
_CAPACITY = 1024


@dataclass(slots=True)
class _Suspect:
    strikes: int
    until: float  # monotonic seconds


class PoisonMemory:
    """Counts losses by segment. Bounded: the segment longest without a loss is forgotten first."""

    def __init__(
        self, clock: Clock, *, strikes: int = _STRIKES, ttl_s: float = _TTL_S, capacity: int = _CAPACITY
    ) -> None:
        self._clock = clock
        self._strikes = strikes
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._suspects: OrderedDict[bytes, _Suspect] = OrderedDict()

    def __len__(self) -> int:
        """Segments with at least one loss."""
        self._forget_old()
        return len(self._suspects)

    def strike(self, digest: bytes) -> int:
        """A process was lost over this segment; how many were so far."""
        self._forget_old()
        suspect = self._suspects.pop(digest, None) or _Suspect(0, 0.0)
        suspect.strikes += 1
        suspect.until = self._clock.monotonic() + self._ttl_s
        self._suspects[digest] = suspect
        if len(self._suspects) > self._capacity:
            self._suspects.popitem(last=False)
        return suspect.strikes

    def acquit(self, digest: bytes) -> None:
        """The segment came through: a neighbour was at fault."""
        self._suspects.pop(digest, None)

    def is_poison(self, digest: bytes) -> bool:
        """Whether the segment is to be refused unseen."""
        self._forget_old()
        suspect = self._suspects.get(digest)
        return suspect is not None and suspect.strikes >= self._strikes

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        while self._suspects and next(iter(self._suspects.values())).until <= now:
            self._suspects.popitem(last=False)
