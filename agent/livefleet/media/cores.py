"""How much CPU this process may use, and how much is used."""

import os
from pathlib import Path

__all__ = ["busy_seconds", "usable_cores"]

_BUSY_FIELDS = (1, 2, 3, 6, 7, 8)  # user, nice, system, irq, softirq, steal; guests' time is in the first two


def usable_cores(cgroup: Path = Path("/proc/self/cgroup"), hierarchy: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores of the affinity mask, or what a cgroup v2 quota (CPUQuota, a container's limit) leaves of them."""
    cores = float(len(os.sched_getaffinity(0)))
    for folder in _folders(cgroup, hierarchy):
        try:
            quota, period = (folder / "cpu.max").read_text().split()
        except (OSError, ValueError):
            continue  # the root of the hierarchy has none; neither has cgroup v1
        if quota != "max":
            cores = min(cores, int(quota) / int(period))
    return cores


def busy_seconds(stat: Path = Path("/proc/stat")) -> float:
    """CPU seconds since boot that the cores of our affinity mask were not ours to have. Source: proc_stat(5)."""
    mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    lines = (line.split() for line in stat.read_text().splitlines())
    ticks = sum(int(fields[index]) for fields in lines if fields[0] in mine for index in _BUSY_FIELDS)
    return ticks / os.sysconf("SC_CLK_TCK")


def _folders(cgroup: Path, hierarchy: Path) -> list[Path]:
    """Our group's folder and those above it: each of them may limit."""
    try:
        lines = cgroup.read_text().splitlines()
    except OSError:
        return []
    path = next((line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")), None)
    if path is None:
        return []
    own = hierarchy / path
    return [own, *(parent for parent in own.parents if parent.is_relative_to(hierarchy))]
