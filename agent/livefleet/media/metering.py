"""What a job costs its device, when several jobs share one process."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["CpuReading", "Meter", "Usage"]

CpuReading = tuple[int, float]
"""A process id and the CPU seconds which that process has used."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one job has used."""

    cpu_s: float  # of one core
    place_s: float  # of one of the device's places


@dataclass(slots=True)
class _Running:
    weight: float
    since: float
    cpu_s: float = 0.0


class Meter:
    """Splits a process's CPU time among the jobs on it, by their weights, from one beginning or end to the next.

    `read` gives None while there is no process; `now` gives monotonic seconds.
    """

    def __init__(self, read: Callable[[], CpuReading | None], now: Callable[[], float]) -> None:
        self._read = read
        self._now = now
        self._jobs: dict[int, _Running] = {}
        self._last: CpuReading | None = None

    def begin(self, job: int, weight: float) -> None:
        """A job starts on the process. `weight`: any positive number that grows with its work."""
        self._share()
        self._jobs[job] = _Running(weight, self._now())

    def end(self, job: int) -> Usage:
        """A job has ended, however it did."""
        self._share()
        running = self._jobs.pop(job)
        return Usage(running.cpu_s, self._now() - running.since)

    def _share(self) -> None:
        before, self._last = self._last, self._read()
        if self._last is None or not self._jobs:
            return
        pid, used = self._last
        if before is not None and before[0] == pid:
            used -= before[1]
        whole = sum(job.weight for job in self._jobs.values())
        for job in self._jobs.values():
            job.cpu_s += used * job.weight / whole
