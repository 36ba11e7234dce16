"""Who may act: a lease is held by one at a time, for a while, and ends by itself where its holder does not renew it.

`key 0x…` is held by whoever sends for a key, `reward 0x…` by whoever calls reward for an orchestrator. A lease spares
work and gas; what is right is decided by the chain and by the intents' own uniqueness.
"""

import asyncio
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from livefleet.kernel import Blocking, Clock, SystemClock
from livefleet.kernel.database import open_database, transaction

__all__ = ["HeldLease", "LeaseHolder", "Leases", "SqliteLeases"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
  name TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  ends REAL NOT NULL,            -- seconds of this boot's monotonic clock
  boot TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started TEXT NOT NULL,         -- the kernel's start tick: a pid alone is given again
  pids TEXT NOT NULL             -- the pid namespace in which that pid means something
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who holds a lease, and how long at most."""

    holder: str
    left_s: float


class Leases(Protocol):
    """Leases in a store that several processes share. Every method raises Transient where it cannot be reached."""

    async def take(self, name: str, holder: str, ttl_s: float) -> bool:
        """Take a lease for `ttl_s`, or renew one's own; False while another holds it. Time is the store's own."""
        ...

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back; nothing happens where another holds it."""
        ...

    async def holder(self, name: str) -> LeaseHolder | None:
        """Who holds a lease now, for words; None where nobody does."""
        ...


class HeldLease:
    """One lease as its would-be holder sees it: taken, renewed in time, and known to be over without asking."""

    def __init__(self, leases: Leases, name: str, holder: str, *, ttl_s: float, clock: Clock) -> None:
        self._leases = leases
        self.name = name
        self.holder = holder
        self._ttl_s = ttl_s
        self._clock = clock
        self._sure_until: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether nobody else can hold it now, by this process's own clock."""
        return self._sure_until is not None and self._clock.monotonic() < self._sure_until

    @property
    def renew_after_s(self) -> float:
        """How long after a renewal the next is due."""
        return self._ttl_s / 3

    async def take(self, ttl_s: float | None = None) -> bool:
        """Take or renew it, for `ttl_s` where that is said.

        Raises Transient where the store cannot be asked; what was held stays held meanwhile.
        """
        lasts_s = self._ttl_s if ttl_s is None else ttl_s
        asked_at = self._clock.monotonic()
        taken = await self._leases.take(self.name, self.holder, lasts_s)
        self._sure_until = asked_at + lasts_s if taken else None
        return taken

    async def release(self) -> None:
        """Give it back, so that another need not wait for its end."""
        self._sure_until = None
        await self._leases.release(self.name, self.holder)

    async def other_holder(self) -> LeaseHolder | None:
        """Who else holds it, for words."""
        found = await self._leases.holder(self.name)
        return None if found is None or found.holder == self.holder else found


class SqliteLeases:
    """Leases in a SQLite file, for the processes of one machine. An async context manager that owns its connection.

    Time is the machine's monotonic clock, so that setting the wall clock ends no lease. The lease of a process that is
    gone (killed, or of an earlier boot) is over at once.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._blocking = Blocking("leases")
        self._db: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._blocking.run(self._open)
        except BaseException:
            await asyncio.shield(self._blocking.__aexit__(None, None, None))
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._blocking.run(self._connection.close)
        await self._blocking.__aexit__(None, None, None)

    async def take(self, name: str, holder: str, ttl_s: float) -> bool:
        """Take a lease for `ttl_s`, or renew one's own; False while another holds it."""
        return await self._blocking.run(self._take, name, holder, ttl_s)

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back; nothing happens where another holds it."""
        await self._blocking.run(self._release, name, holder)

    async def holder(self, name: str) -> LeaseHolder | None:
        """Who holds a lease now; None where nobody does."""
        return await self._blocking.run(self._holder, name)

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._db is not None, "the leases were not entered"
        return self._db

    def _open(self) -> None:
        self._db = open_database(self._path, survives_power_loss=False)  # what a power cut forgets ended with it
        self._db.execute(_SCHEMA)

    def _take(self, name: str, holder: str, ttl_s: float) -> bool:
        with transaction(self._connection) as db:
            held = self._holder(name)
            ours = held is None or held.holder == holder
            if ours:
                ends = self._clock.monotonic() + ttl_s
                row = (name, holder, ends, _boot(), os.getpid(), _start_tick(os.getpid()), _pid_namespace())
                db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return ours

    def _release(self, name: str, holder: str) -> None:
        self._connection.execute("DELETE FROM leases WHERE name = ? AND holder = ?", (name, holder))

    def _holder(self, name: str) -> LeaseHolder | None:
        row = self._connection.execute(
            "SELECT holder, ends, boot, pid, started, pids FROM leases WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            return None
        holder, ends, boot, pid, started, pids = row
        left_s = ends - self._clock.monotonic()
        gone = boot != _boot() or (pids == _pid_namespace() and _start_tick(pid) != started)
        return None if gone or left_s <= 0 else LeaseHolder(holder, left_s)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())


def _start_tick(pid: int) -> str:
    """Field 22 of /proc/PID/stat; empty for a process that is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]
