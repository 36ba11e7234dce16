"""How much of the machine others use, so that it is not promised to streams."""

from collections.abc import Callable, Sequence

from livefleet.media.metering import CpuReading

__all__ = ["OtherLoad"]

_WEIGHT = 0.3  # of the newest look


class OtherLoad:
    """Cores used by all but our worker processes: this machine's other processes, and other machines on its host.

    `busy` gives CPU seconds spent so far on our cores by anybody, `ours` those of our processes, `now` monotonic
    seconds.
    """

    def __init__(
        self, busy: Callable[[], float], ours: Callable[[], Sequence[CpuReading]], now: Callable[[], float]
    ) -> None:
        self._busy = busy
        self._ours = ours
        self._now = now
        self._last: tuple[float, float, dict[int, float]] | None = None
        self._cores: float | None = None

    @property
    def cores(self) -> float:
        """On average over the last looks; 0 before the second."""
        return self._cores or 0.0

    def look(self) -> None:
        """Take what was used since the last look into the average."""
        last, self._last = self._last, (self._now(), self._busy(), dict(self._ours()))
        if last is None:
            return
        (then, busy_then, ours_then), (now, busy_now, ours_now) = last, self._last
        if now <= then:
            return
        ours = sum(used - ours_then.get(pid, 0.0) for pid, used in ours_now.items())
        newest = max(0.0, busy_now - busy_then - ours) / (now - then)
        self._cores = newest if self._cores is None else self._cores + _WEIGHT * (newest - self._cores)
