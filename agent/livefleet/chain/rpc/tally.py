"""Requests counted by method, since the start and in the last hour."""

from collections import Counter, deque
from dataclasses import dataclass, field

__all__ = ["Tally"]

_MINUTE_S = 60.0
_MINUTES = 60


@dataclass(slots=True)
class Tally:
    """JSON-RPC requests, each of a batch counted. `now`: seconds of one monotonic clock."""

    by_method: Counter[str] = field(default_factory=Counter)
    _recent: deque[tuple[int, Counter[str]]] = field(default_factory=deque)  # (minute, what was asked in it)

    def note(self, method: str, now: float) -> None:
        """One request."""
        self.by_method[method] += 1
        minute = int(now // _MINUTE_S)
        if not self._recent or self._recent[-1][0] != minute:
            self._recent.append((minute, Counter()))
        self._recent[-1][1][method] += 1
        self._forget(minute)

    @property
    def total(self) -> int:
        """Requests since the start."""
        return self.by_method.total()

    def last_hour(self, now: float) -> Counter[str]:
        """Requests of the last hour, by method; of less than that soon after the start."""
        self._forget(int(now // _MINUTE_S))
        found: Counter[str] = Counter()
        for _, asked in self._recent:
            found.update(asked)
        return found

    def _forget(self, minute: int) -> None:
        while self._recent and self._recent[0][0] <= minute - _MINUTES:
            self._recent.popleft()
