"""What befalls a host: its disk fills up, its clock goes wrong, a port is taken, nobody comes through to it."""

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.processes import ProcessId


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own that can be filled."""

    folder: Path

    def leave(self, share: float) -> None:
        """Fill it until this share of it is free; more room than that is made by `clear` first."""
        room = os.statvfs(self.folder)
        taken = room.f_bavail * room.f_frsize - int(room.f_blocks * room.f_frsize * share)
        with self._ballast.open("ab") as file:
            os.posix_fallocate(file.fileno(), file.tell(), taken)

    def clear(self) -> None:
        """Give back what filled it."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextmanager
def a_small_disk(folder: Path, *, mib: int = 16) -> Iterator[SmallDisk]:
    """A tmpfs at `folder` while inside; needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={mib}m,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "livefleet-test", str(folder)], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

struct told { long long ahead_ns, is_kept; };

static const volatile struct told *told(void) {
    static const volatile struct told *found;
    if (found == NULL) {
        int file = open(getenv("LIVEFLEET_TEST_CLOCK"), O_RDONLY);
        found = mmap(NULL, sizeof(struct told), PROT_READ, MAP_SHARED, file, 0);
        close(file);
    }
    return found;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*own)(clockid_t, struct timespec *);
    if (own == NULL) own = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = own(id, now);
    if (failed || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return failed;
    long long ns = now->tv_sec * 1000000000LL + now->tv_nsec + told()->ahead_ns;
    now->tv_sec = ns / 1000000000LL;
    now->tv_nsec = ns % 1000000000LL;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (seconds != NULL) *seconds = precise.tv_sec;
    return precise.tv_sec;
}

int adjtimex(struct timex *clock) {
    clock->status = told()->is_kept ? STA_PLL : STA_UNSYNC;
    return told()->is_kept ? TIME_OK : TIME_ERROR;
}
"""


@dataclass
class WrongClock:
    """The clock of day of the programs that get `env`, and whether a time service is said to keep it.

    A library of four functions that all of them read the same page through. (libfaketime, told anew while it runs,
    makes a reading of the metrics seventeen times as dear.)
    """

    folder: Path
    _ahead_s: float = 0.0
    _is_kept: bool = True

    @classmethod
    def right(cls, folder: Path) -> "WrongClock":
        """One that is right and kept, to begin with."""
        folder.mkdir(parents=True, exist_ok=True)
        source, clock = folder / "clock.c", cls(folder)
        source.write_text(_CLOCK)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(clock._library), str(source)], check=True)
        clock._page.write_bytes(bytes(16))
        clock._tell()
        return clock

    @property
    def env(self) -> dict[str, str]:
        """For a program that is to go by it."""
        return {"LD_PRELOAD": str(self._library), "LIVEFLEET_TEST_CLOCK": str(self._page)}

    def be_off(self, seconds: float) -> None:
        """From now on; ahead where positive."""
        self._ahead_s = seconds
        self._tell()

    def be_kept(self, *, kept: bool) -> None:
        """What the kernel says from now on."""
        self._is_kept = kept
        self._tell()

    def _tell(self) -> None:
        """In place: what is mapped is the file, not its name."""
        with self._page.open("r+b") as file:
            file.write(struct.pack("=qq", round(self._ahead_s * 1e9), self._is_kept))

    @property
    def _library(self) -> Path:
        return self.folder / "clock.so"

    @property
    def _page(self) -> Path:
        return self.folder / "clock"


def faketime_library() -> Path:
    """The library that skews a program's clock of day."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "libfaketime is not there: apt-get install libfaketime"
    return found[0]


@dataclass
class TakenPort:
    """A stranger that has the port of a program."""

    port: int
    _stranger: socket.socket | None = None

    def take_from(self, victims: list[ProcessId], keeper: int) -> None:
        """Kill those that listen and be there first: `keeper`, who would start them anew, stands still meanwhile."""
        os.kill(keeper, signal.SIGSTOP)
        try:
            for victim in victims:
                victim.end(10)
            self._stranger = socket.create_server(("127.0.0.1", self.port))
        finally:
            os.kill(keeper, signal.SIGCONT)

    def give_back(self) -> None:
        """It is free again."""
        if self._stranger is not None:
            self._stranger.close()
            self._stranger = None


@dataclass
class Way:
    """How strangers come to a port of this host: `port` leads to `to` while it is open."""

    port: int
    to: int
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        """From now on."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Nobody comes this way any more; who is on it goes on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.close()
            return
        with contextlib.suppress(OSError):
            await asyncio.gather(_pour(reader, back), _pour(there, writer))


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()


@dataclass
class Busy:
    """Does the same again and again, from the first `begin` until each of the `parties` has said `end`."""

    does: Callable[[], Awaitable[object]]
    every_s: float = 0.1
    parties: int = 1
    _task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """From now on."""
        self._task = self._task or asyncio.create_task(self._go_on(), name="busy")

    async def end(self) -> None:
        """What is under way is finished. Raises what went wrong meanwhile."""
        self.parties -= 1
        if not self.parties and self._task is not None:
            await self._task

    async def _go_on(self) -> None:
        while self.parties:
            await self.does()
            await asyncio.sleep(self.every_s)
