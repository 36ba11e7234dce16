"""How many requests an endpoint may be sent: a bucket that fills steadily and holds a second's worth, or one batch."""

from dataclasses import dataclass

__all__ = ["Budget"]

_LONGEST_WAIT_S = 10.0


@dataclass(slots=True)
class Budget:
    """Requests a second. A batch may overdraw it: what is owed has to fill up first."""

    per_second: float
    _left: float = 0.0
    _counted_at: float | None = None

    def take(self, requests: int, now: float) -> None:
        """Send that many."""
        self._left = self._now(now) - requests
        self._counted_at = now

    def wait_s(self, now: float) -> float:
        """Seconds until something may be sent; 0: at once."""
        left = self._now(now)
        return 0.0 if left > 0 else min((1e-9 - left) / self.per_second, _LONGEST_WAIT_S)

    def _now(self, now: float) -> float:
        full = max(self.per_second, 1.0)
        if self._counted_at is None:
            return full
        return min(full, self._left + (now - self._counted_at) * self.per_second)
