"""Which number of sessions to try next: doubling while they hold, then halving what is left between. Pure."""

__all__ = ["CapacitySearch"]


class CapacitySearch:
    """Finds the largest number that holds, assuming that smaller ones then hold too. `most`: never beyond."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._failed: int | None = None

    @property
    def limit(self) -> int:
        """The largest number that has held so far; 0 for none."""
        return self._held

    @property
    def next(self) -> int | None:
        """What to try; None when the answer is known."""
        if self._failed is None:
            return None if self._held >= self._most else min(self._most, max(1, 2 * self._held))
        middle = (self._held + self._failed) // 2
        return middle if middle > self._held else None

    def tried(self, sessions: int, *, held: bool) -> None:
        """Take an outcome in."""
        if held:
            self._held = max(self._held, sessions)
        elif self._failed is None or sessions < self._failed:
            self._failed = sessions
