"""What alerts need to know of the host itself: the clock, and the disk with the node's state."""

import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["DiskRoom", "HostCollector", "disk_room", "is_clock_kept"]

_UNSYNCHRONISED: Final = 0x40  # STA_UNSYNC of <sys/timex.h>


class HostCollector(Collector):
    """Read at scrape. `state`: a folder on the disk that is looked at; `now`: unix seconds."""

    def __init__(
        self,
        state: Path,
        now: Callable[[], float],
        *,
        is_kept: Callable[[], bool | None] | None = None,
        disk: Callable[[Path], "DiskRoom | None"] | None = None,
    ) -> None:
        self._state = state
        self._now = now
        self._is_kept = is_kept or is_clock_kept
        self._disk = disk or disk_room

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """What cannot be read is left out."""
        yield GaugeMetricFamily("livefleet_node_time_seconds", "Unix time by the node's clock.", value=self._now())
        if (kept := self._is_kept()) is not None:
            yield GaugeMetricFamily("livefleet_clock_synchronised", "1 while a time service keeps it.", value=kept)
        if (room := self._disk(self._state)) is not None:
            yield GaugeMetricFamily("livefleet_state_disk_free_bytes", "Free, for ordinary users.", value=room.free)
            yield GaugeMetricFamily("livefleet_state_disk_size_bytes", "Of the disk with the state.", value=room.size)


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """Bytes of a disk."""

    free: int  # for ordinary users
    size: int


def disk_room(folder: Path) -> DiskRoom | None:
    """Of the disk that a folder is on. None: it cannot be told."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return DiskRoom(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)


class _Timex(ctypes.Structure):
    """The head of Linux' `struct timex`; the rest is room that the kernel writes to."""

    _fields_: ClassVar = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    ]


def is_clock_kept() -> bool | None:
    """Whether the kernel hears of a time service (adjtimex(2), reading only). None: it does not tell."""
    clock = _Timex()
    try:
        if ctypes.CDLL(None).adjtimex(ctypes.byref(clock)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    return not clock.status & _UNSYNCHRONISED
