"""The gas price that quotes reckon with: steady, so that a spike of seconds moves no price.

It is the median over a window, weighted by how long each price held: a spike shorter than half of the window counts for
nothing. What is used follows the median only when it leaves a band around it, so that it does not creep block by block.
"""

from collections import deque
from fractions import Fraction
from typing import Final

from livefleet.kernel import Clock, Wei

__all__ = ["DEFAULT_WINDOW_S", "SteadyGas", "median_over_time"]

DEFAULT_WINDOW_S: Final = 600

_BAND: Final = Fraction(1, 10)


class SteadyGas:
    """Fed with what the chain watcher sees. One event loop's property."""

    def __init__(self, first: Wei, *, window_s: float, clock: Clock) -> None:
        self._window_s = window_s
        self._clock = clock
        self._seen: deque[tuple[float, Wei]] = deque([(clock.monotonic(), first)])
        self._held = first

    def observe(self, price: Wei) -> None:
        """Take the gas price of now."""
        now = self._clock.monotonic()
        self._seen.append((now, price))
        while len(self._seen) > 1 and self._seen[1][0] <= now - self._window_s:
            self._seen.popleft()  # the one before the window's start stays: its price held into it
        median = median_over_time(list(self._seen), start=now - self._window_s, end=now)
        if abs(median - self._held) > self._held * _BAND:
            self._held = median

    def price(self) -> Wei:
        """Wei per gas, within a tenth of the median."""
        return self._held


def median_over_time(seen: list[tuple[float, Wei]], *, start: float, end: float) -> Wei:
    """The price below which it was for half of the time. `seen`: when each price began to hold, in order; not empty.

    The newest price counts from `end` on, so it decides only where there is no earlier one or no time has passed. Pure.
    """
    ends = [at for at, _ in seen[1:]] + [end]
    held = sorted(
        (price, max(until - max(since, start), 0.0)) for (since, price), until in zip(seen, ends, strict=True)
    )
    half, passed = sum(seconds for _, seconds in held) / 2, 0.0
    if not half:
        return seen[-1][1]
    for price, seconds in held:
        passed += seconds
        if passed >= half:
            return price
    return held[-1][0]
