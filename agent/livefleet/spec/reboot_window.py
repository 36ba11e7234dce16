"""When a host may be rebooted."""

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final, Self
from zoneinfo import ZoneInfo

from pydantic import model_validator

from livefleet.spec.local_time import WEEK, TimeOfDay, TimeZone, Weekday
from livefleet.spec.model import SpecModel

__all__ = ["RebootWindow"]

_MINUTES_A_DAY: Final = 24 * 60


class RebootWindow(SpecModel):
    """Hours in which a host may be rebooted, `{days: [tue, thu], opens: "02:00", closes: "05:00", timezone: UTC}`."""

    days: tuple[Weekday, ...] = WEEK
    """Days on which the window opens."""

    opens: TimeOfDay
    """Local time, `HH:MM`."""

    closes: TimeOfDay
    """Local time, `HH:MM`; at or before `opens` it is that of the next day."""

    timezone: TimeZone = "UTC"
    """Name of a time zone as in `Europe/Berlin`; clocks that are put forward or back are followed."""

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        if not self.days:
            raise ValueError("`days` is empty: the window would never open")
        return self

    def closes_at(self, now: float) -> float | None:
        """Unix seconds at which the window that is open at `now` closes; None: it is shut."""
        for opened, closed in self._around(now, days_before=1, days_after=0):
            if opened <= now < closed:
                return closed
        return None

    def opens_at(self, now: float) -> float:
        """Unix seconds at which it opens next; `now` where it is open."""
        for opened, closed in self._around(now, days_before=1, days_after=8):
            if now < closed:
                return max(now, opened)
        raise AssertionError("a week without any of its days")

    def told(self, now: float) -> str:
        """The next opening for people, as `Tue 1 Dec 02:00 Europe/Berlin`."""
        local = datetime.fromtimestamp(self.opens_at(now), ZoneInfo(self.timezone))
        return f"{local:%a} {local.day} {local:%b %H:%M} {self.timezone}"

    @cached_property
    def _length(self) -> timedelta:
        minutes = (_minutes(self.closes) - _minutes(self.opens)) % _MINUTES_A_DAY
        return timedelta(minutes=minutes or _MINUTES_A_DAY)

    def _around(self, now: float, *, days_before: int, days_after: int) -> list[tuple[float, float]]:
        zone = ZoneInfo(self.timezone)
        today = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        found = []
        for offset in range(-days_before, days_after + 1):
            day = today + timedelta(days=offset)
            if WEEK[day.weekday()] not in self.days:
                continue
            opened = day + timedelta(minutes=_minutes(self.opens))
            # Both ends are wall clock times, so that a night of another length moves the close, not the hour shown.
            found.append((_unix(opened, zone), _unix(opened + self._length, zone)))
        return found


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _unix(local: datetime, zone: ZoneInfo) -> float:
    return local.replace(tzinfo=zone).astimezone(UTC).timestamp()
