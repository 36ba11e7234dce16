"""The machine below the node: disk, memory, clock, what waits for a reboot."""

import ctypes
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livefleet.spec import Finding, Grade, Trouble

__all__ = ["DiskSpace", "MachineFacts", "judge_machine", "read_machine"]

_DISK_LOW: Final = 10 << 30
_DISK_FULL: Final = 1 << 30
_MEMORY_LOW: Final = 1 << 30
_FILES_WANTED: Final = 65_536
"""Open files: each stream and worker holds a few."""
_TIME_ERROR: Final = 5  # TIME_ERROR of adjtimex(2): the clock is not synchronised


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Of one file system, in bytes, by what lies on it."""

    what: str
    path: Path
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """Read at one moment."""

    distribution: str
    kernel: str
    disks: tuple[DiskSpace, ...]
    memory_available: int | None  # bytes
    open_files: int | None  # None: no process of the node's runs
    is_clock_synchronised: bool | None  # None: the kernel does not tell
    reboot_wanted_by: tuple[str, ...] | None  # packages; None: no reboot is wanted


def read_machine(places: dict[str, Path], *, open_files: int | None, root: Path = Path("/")) -> MachineFacts:
    """Read them; `places` are what has to have room, by name, `open_files` the limit of the node's process."""
    return MachineFacts(
        distribution=_distribution(root),
        kernel=os.uname().release,
        disks=tuple(_disks(places)),
        memory_available=_memory_available(root),
        open_files=open_files,
        is_clock_synchronised=_is_clock_synchronised(),
        reboot_wanted_by=_reboot_wanted_by(root),
    )


def judge_machine(facts: MachineFacts) -> list[Finding]:
    """What they mean. Pure."""
    return [
        Finding(area="host", what="system", grade=Grade.OK, message=f"{facts.distribution}, kernel {facts.kernel}"),
        *(_disk(disk) for disk in facts.disks),
        _memory(facts.memory_available),
        _files(facts.open_files),
        _clock(facts.is_clock_synchronised),
        _reboot(facts.reboot_wanted_by),
    ]


def _disk(disk: DiskSpace) -> Finding:
    room = f"{_size(disk.free)} of {_size(disk.total)} free ({disk.what})"
    fix = f"make room on {disk.path}: `du -xh --max-depth=2 {disk.path} | sort -h | tail`"
    if disk.free < _DISK_FULL:
        text = f"{room}; when nothing can be written, payments are refused and upgrades fail"
        return Finding.bad(Trouble.DISK_FULL, "disk", str(disk.path), text, fix)
    if disk.free < _DISK_LOW:
        return Finding.bad(Trouble.DISK_LOW, "disk", str(disk.path), room, fix, Grade.WARN)
    return Finding(area="disk", what=str(disk.path), grade=Grade.OK, message=room)


def _size(number: int) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 1 << 30 else f"{number / 2**20:.0f} MiB"


def _memory(available: int | None) -> Finding:
    if available is None:
        return Finding(area="host", what="memory", grade=Grade.SKIP, message="the kernel does not tell")
    room = f"{_size(available)} available"
    if available < _MEMORY_LOW:
        fix = "see who has it: `ps -eo rss,comm --sort=-rss | head`; give the node fewer sessions or models"
        return Finding.bad(Trouble.MEMORY_LOW, "host", "memory", room, fix, Grade.WARN)
    return Finding(area="host", what="memory", grade=Grade.OK, message=room)


def _files(limit: int | None) -> Finding:
    if limit is None:
        return Finding(area="host", what="open files", grade=Grade.SKIP, message="no agent runs that has a limit")
    text = f"the node may open {limit} files"
    if limit < _FILES_WANTED:
        fix = f"LimitNOFILE={_FILES_WANTED} in the unit; `livefleet apply` writes it"
        return Finding.bad(
            Trouble.FEW_OPEN_FILES, "host", "open files", f"{text}; each stream takes a few", fix, Grade.WARN
        )
    return Finding(area="host", what="open files", grade=Grade.OK, message=text)


def _clock(is_synchronised: bool | None) -> Finding:
    if is_synchronised is None:
        return Finding(area="clock", what="synchronised", grade=Grade.SKIP, message="the kernel does not tell")
    if not is_synchronised:
        text = "no time service keeps the clock; tickets and certificates are judged by it"
        fix = "`timedatectl set-ntp true`, or let `livefleet apply` see to it (`machine: {mode: managed}`)"
        return Finding.bad(Trouble.CLOCK_NOT_KEPT, "clock", "synchronised", text, fix, Grade.WARN)
    return Finding(area="clock", what="synchronised", grade=Grade.OK, message="a time service keeps it")


def _reboot(wanted_by: tuple[str, ...] | None) -> Finding:
    if wanted_by is None:
        return Finding(area="host", what="reboot", grade=Grade.OK, message="none is waited for")
    text = f"an upgrade of {', '.join(wanted_by) or 'a package'} waits for a reboot"
    fix = "`livefleet drain --host HOST`, reboot, `livefleet drain --off --host HOST`"
    return Finding.bad(Trouble.REBOOT_WAITS, "host", "reboot", text, fix, Grade.WARN)


def _distribution(root: Path) -> str:
    try:
        lines = (root / "etc/os-release").read_text().splitlines()
    except OSError:
        return "unknown system"
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return fields.get("PRETTY_NAME", "unknown system").strip('"')


def _disks(places: dict[str, Path]) -> Iterator[DiskSpace]:
    """One for each file system: the first place on it names it."""
    seen: set[int] = set()
    for what, path in places.items():
        there = next((p for p in (path, *path.parents) if p.exists()), None)
        if there is None or there.stat().st_dev in seen:
            continue
        seen.add(there.stat().st_dev)
        usage = shutil.disk_usage(there)
        yield DiskSpace(what, there, usage.free, usage.total)


def _memory_available(root: Path) -> int | None:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None


def _is_clock_synchronised() -> bool | None:
    """By adjtimex(2), which anybody may ask; it says so whatever program keeps the time."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def _reboot_wanted_by(root: Path) -> tuple[str, ...] | None:
    if not (root / "run/reboot-required").exists():
        return None
    try:
        return tuple(sorted({*(root / "run/reboot-required.pkgs").read_text().split()}))
    except OSError:
        return ()
