"""How much memory the devices have, and who uses it: GPUs as sampled, the CPU's RAM from the kernel."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from livefleet.hardware.models import HardwareSnapshot

__all__ = ["CPU_MEMORY", "DeviceMemory", "MachineMemory", "MemoryReading", "UncountedMemory"]

CPU_MEMORY: Final = "cpu"
"""The device whose memory is the machine's RAM."""


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """One device at one moment, in bytes."""

    total: int
    used: int  # by anybody
    by_process: Mapping[int, int]  # of the processes asked for, by id; those that are not told are missing


class DeviceMemory(Protocol):
    """Where the ledger gets its readings from."""

    def of(self, device: str, pids: Collection[int]) -> MemoryReading | None:
        """The device as it was seen last; None: it was never seen, or does not tell."""
        ...

    async def look(self) -> None:
        """See everything anew."""
        ...


class Sampler(Protocol):
    """The node's one reader of NVML."""

    latest: HardwareSnapshot | None

    async def sample(self) -> HardwareSnapshot:
        """Read now."""
        ...


class MachineMemory:
    """This machine's. A GPU that fails to answer is as it was when it answered last. One event loop's property."""

    def __init__(self, sampler: Sampler, *, root: Path = Path("/")) -> None:
        self._sampler = sampler
        self._root = root  # where /proc and /sys are looked for
        self._last: dict[str, tuple[int, int, Mapping[int, int]]] = {}

    def of(self, device: str, pids: Collection[int]) -> MemoryReading | None:
        """As the protocol says. RAM is read on the spot."""
        if device == CPU_MEMORY:
            return self._ram(pids)
        gpu = None if self._sampler.latest is None else self._sampler.latest.gpu(device)
        if gpu is not None and gpu.memory_total is not None and gpu.memory_used is not None:
            known = {p.pid: p.memory_used for p in gpu.processes or () if p.memory_used is not None}
            self._last[device] = (gpu.memory_total, gpu.memory_used, known)
        if device not in self._last:
            return None
        total, used, told = self._last[device]
        return MemoryReading(total, used, {pid: told[pid] for pid in pids if pid in told})

    async def look(self) -> None:
        """Sample the GPUs."""
        await self._sampler.sample()

    def _ram(self, pids: Collection[int]) -> MemoryReading | None:
        try:
            meminfo = _content(self._root / "proc/meminfo")
            total, available = _field(meminfo, b"MemTotal:") * 1024, _field(meminfo, b"MemAvailable:") * 1024
        except (OSError, ValueError):
            return None
        sizes = {pid: size for pid in pids if (size := self._resident(pid)) is not None}
        limit = self._limit()
        if limit is None or limit[0] >= total:
            return MemoryReading(total, total - available, sizes)
        most, used = limit
        # The machine may be short before the group is.
        return MemoryReading(most, max(used, most - available), sizes)

    def _resident(self, pid: int) -> int | None:
        try:
            pages = int(_content(self._root / f"proc/{pid}/statm").split()[1])
        except (OSError, IndexError, ValueError):
            return None
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _limit(self) -> tuple[int, int] | None:
        """The cgroup's limit, and what it uses less the file pages that the kernel would drop first."""
        try:
            own = _content(self._root / "proc/self/cgroup").decode().strip().rpartition("::")[2].lstrip("/")
            group = self._root / "sys/fs/cgroup" / own
            most = int(_content(group / "memory.max"))
            used = int(_content(group / "memory.current"))
            return most, max(0, used - _field(_content(group / "memory.stat"), b"inactive_file", default=0))
        except (OSError, ValueError):
            return None  # no limit (`max`), or no such controller


class UncountedMemory:
    """Of no device is anything known, so everything is granted: for whoever has memory enough and counts none."""

    def of(self, device: str, pids: Collection[int]) -> MemoryReading | None:
        """Nothing."""
        return None

    async def look(self) -> None:
        """Sees nothing."""


def _content(path: Path) -> bytes:
    """Of a file of the kernel's. Each job asks for several of them; this is the quickest way."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, 1 << 16)
    finally:
        os.close(handle)


def _field(content: bytes, name: bytes, *, default: int | None = None) -> int:
    """The number behind `name` in lines such as `MemTotal:  16 kB` or `inactive_file 16`. Raises ValueError."""
    for line in content.splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    if default is None:
        raise ValueError(f"no {name.decode()} in what the kernel says")
    return default
