"""How long devices worked for each model, and what they drew meanwhile."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

__all__ = ["DeviceTimes", "DeviceUse", "Work"]

Work = tuple[str, str, str]
"""Pipeline, model id, device."""


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """What a model took of one device."""

    seconds: float = 0.0
    joules: float | None = None  # None: the device does not say what it draws
    measured_s: float = 0.0  # of the seconds, those that the joules are of

    def plus(self, seconds: float, watts: float | None) -> "DeviceUse":
        """So much more, at that power."""
        used = replace(self, seconds=self.seconds + seconds)
        if watts is None:
            return used
        return replace(used, joules=(self.joules or 0.0) + watts * seconds, measured_s=self.measured_s + seconds)


class DeviceTimes:
    """A stopwatch for all devices. One event loop's property.

    A device of this machine has one second a second: models that work on it at once have equal shares, however many
    jobs each has. Elsewhere (a worker, a runner at a URL) devices cannot be told apart, so each job counts in full.
    `power_of` gives a device's watts now; power is that of the whole device, streams on it included. `add` is told of
    every share.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        power_of: Callable[[str], float | None],
        add: Callable[[Work, float, float | None], None],
    ) -> None:
        self._monotonic = monotonic
        self._power_of = power_of
        self._add = add
        self._here: dict[str, Counter[Work]] = {}  # jobs under way, by device
        self._elsewhere: dict[str, Counter[Work]] = {}
        self._looked: dict[str, float] = {}  # when a device's time was shared out last

    @contextmanager
    def busy(self, work: Work, *, is_here: bool) -> Iterator[None]:
        """One job works while the block lasts."""
        device, kind = work[2], self._here if is_here else self._elsewhere
        self._share(device)
        jobs = kind.setdefault(device, Counter())
        jobs[work] += 1
        try:
            yield
        finally:
            self._share(device)
            jobs[work] -= 1
            if not jobs[work]:
                del jobs[work]

    def look(self) -> None:
        """Share out what went by on all devices: power is read now, and a long job is not counted at its end only."""
        for device in (*self._here, *self._elsewhere):
            self._share(device)

    def _share(self, device: str) -> None:
        now = self._monotonic()
        passed = now - self._looked.get(device, now)
        self._looked[device] = now
        here, elsewhere = self._here.get(device), self._elsewhere.get(device)
        if here and passed:
            watts = self._power_of(device)
            for work in here:
                self._add(work, passed / len(here), watts)
        for work, jobs in (elsewhere or {}).items():
            self._add(work, passed * jobs, None)
