"""How much memory all sources together may take, whoever sends them and however slowly."""

import weakref
from pathlib import Path

from livefleet.kernel import Refused

__all__ = ["Arriving", "SourceMemory", "usable_memory"]

_SHARE = 4  # of the machine's memory: renditions, models and the system want theirs
_LEAST = 300_000_000  # one source as large as they may be

_MEMINFO = Path("/proc/meminfo")
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


class SourceMemory:
    """The bytes of sources that are being read, wait for their turn or are worked on. One event loop's property.

    Where they would be more than `limit`, the largest that is still being read gives way (`OrchestratorBusy`), so that
    uploads as large as allowed do not cost a running stream its segments of a few megabytes. Joining a source's parts
    takes its size once more for a moment. `limit` None: a quarter of what this process may use.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = max(_LEAST, usable_memory() // _SHARE) if limit is None else limit
        self.held = 0
        self._reading: weakref.WeakSet[Arriving] = weakref.WeakSet()

    def begin(self) -> "Arriving":
        """A source whose bytes come in from now on."""
        arriving = Arriving(self)
        self._reading.add(arriving)
        return arriving

    def _make_room(self, asker: "Arriving", size: int) -> None:
        while self.held + size > self.limit:
            largest = max(self._reading, key=lambda arriving: arriving.size, default=asker)
            if largest.size <= asker.size:
                largest = asker
            largest.give_up()
            if largest is asker:
                raise Refused("OrchestratorBusy")
        self.held += size


class Arriving:
    """One source. Its bytes count until it is dropped, or nobody holds this object any more."""

    def __init__(self, memory: SourceMemory) -> None:
        self.size = 0
        self._memory = memory
        self._chunks: list[bytes] = []
        self._gave_up = False

    def __del__(self) -> None:
        # Sources end in many ways (peers that hang up, sessions that end), and an account that one of them could leave
        # wrong would refuse work for ever.
        self._memory.held -= self.size

    def count(self, size: int) -> None:
        """So many bytes more, kept elsewhere. Raises Refused."""
        if self._gave_up:
            raise Refused("OrchestratorBusy")
        self._memory._make_room(self, size)  # noqa: SLF001 -- the two halves of one account
        self.size += size

    def take(self, chunk: bytes) -> None:
        """Keep a part. Raises Refused."""
        self.count(len(chunk))
        self._chunks.append(chunk)

    def whole(self) -> bytes:
        """All parts; from now on it gives way to nobody. Raises Refused where it has."""
        self.count(0)
        self.stop()
        data = b"".join(self._chunks)
        self._chunks.clear()
        return data

    def give_up(self) -> None:
        """Let go of everything; who reads it hears at its next part."""
        self._gave_up = True
        self.drop()

    def drop(self) -> None:
        """It is not needed any more."""
        self._memory.held -= self.size
        self.size = 0
        self._chunks.clear()
        self.stop()

    def stop(self) -> None:
        """No more comes."""
        self._memory._reading.discard(self)  # noqa: SLF001 -- the two halves of one account


def usable_memory() -> int:
    """Bytes that this process may use: the machine's, or its control group's where that is less."""
    line = next(line for line in _MEMINFO.read_text().splitlines() if line.startswith("MemTotal:"))
    return min(int(line.split()[1]) * 1024, *_group_limits())


def _group_limits() -> list[int]:
    """The limits of our control group and those around it (version 2; version 1 has none here)."""
    own = next((line[3:] for line in _OWN_CGROUP.read_text().splitlines() if line.startswith("0::")), "/")
    group = _CGROUPS / own.lstrip("/")
    limits = [2**63]
    for folder in (group, *group.parents):
        if folder == _CGROUPS.parent:
            break
        try:
            text = (folder / "memory.max").read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            limits.append(int(text))
    return limits
