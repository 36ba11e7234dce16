"""Lengths of time as people write them: `90s`, `10m`, `1h30m`, or plain seconds."""

import re
from typing import Final

__all__ = ["parse_duration"]

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0}
_SPELLED: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[hms])+\Z")
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([hms])")
_PLAIN: Final = re.compile(r"[0-9]+(\.[0-9]+)?\Z")


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError."""
    if _PLAIN.match(text):
        return float(text)
    if not _SPELLED.match(text):
        raise ValueError(f"{text!r} is no length of time; write 90s, 10m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
