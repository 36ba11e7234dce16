"""Timestamps as exact seconds."""

from fractions import Fraction
from typing import Protocol

__all__ = ["Timed", "moment", "tick"]


class Timed(Protocol):
    """A frame or packet of av."""

    @property
    def time_base(self) -> Fraction | None:
        """Seconds a tick."""
        ...


def tick(item: Timed) -> Fraction:
    """Seconds a tick of a frame or packet that came out of a container, decoder or filter: these always have one."""
    assert item.time_base is not None
    return Fraction(item.time_base)


def moment(item: Timed, ticks: int | None) -> Fraction:
    """A timestamp of `item` in seconds; the caller knows that there is one."""
    assert ticks is not None
    return ticks * tick(item)
