"""Days, times of day and time zones as people write them."""

import re
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

__all__ = ["WEEK", "TimeOfDay", "TimeZone", "Weekday"]

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

WEEK: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")


def _time_of_day(text: str) -> str:
    if not _CLOCK.match(text):
        raise ValueError(f"{text!r} is no time of day; write it as 02:00")
    return text


TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]
"""`HH:MM`, from 00:00 to 23:59."""


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # OSError: the name of a folder, as `Europe`
        raise ValueError(f"{name!r} is no known time zone; write one as Europe/Berlin, or UTC") from error
    return name


TimeZone = Annotated[str, AfterValidator(_time_zone)]
"""Name of a time zone as in `Europe/Berlin`."""
