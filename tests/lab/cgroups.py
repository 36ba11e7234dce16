"""A control group of its own for every host.

systemd-nspawn makes `payload` below the group it was started in. Two hosts started from one group would share it, and
with it `system.slice/ssh.service`: stopping a unit on one host would then reach into the other.
"""

import errno
import os
import time
from pathlib import Path

__all__ = ["enter", "groups", "remove"]

EMPTY_WITHIN_S = 10


def groups(name: str) -> list[Path]:
    """The folders of a host's group, one for each hierarchy in which systemd follows processes."""
    return [place / name for place in _hierarchies()]


def enter(paths: list[Path]) -> None:
    """Create the groups and move this process into them; its children follow."""
    for path in paths:
        path.mkdir(exist_ok=True)
        (path / "cgroup.procs").write_text(str(os.getpid()))


def remove(paths: list[Path]) -> None:
    """Remove groups whose processes have ended, innermost first."""
    deadline = time.monotonic() + EMPTY_WITHIN_S
    for path in paths:
        for folder, _, _ in os.walk(path, topdown=False):
            _remove_one(Path(folder), deadline)


def _remove_one(folder: Path, deadline: float) -> None:
    while True:
        try:
            return folder.rmdir()
        except OSError as error:  # the kernel counts a process a little longer than it lives
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _hierarchies() -> list[Path]:
    """The unified hierarchy and, on a hybrid machine, systemd's own one."""
    mounts = [line.split()[1:4] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [
        Path(place)
        for place, kind, options in mounts
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(","))
    ]
