"""Who signed: tickets of large payments are asked of processes beside the agent, so that the loop stays free.

A process starts with the first large payment and goes when none comes for a while. Whatever goes wrong with it, the
asker does the work itself: a payment never waits for a process to start, and none is lost with one.
"""

import asyncio
import logging
import os
import random
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from livefleet.kernel import Backoff, Clock, SystemClock
from livefleet.payments import recovery_process as child

__all__ = ["Inline", "Recovery", "RecoveryPool", "Signed"]

log = logging.getLogger(__name__)

Signed = tuple[bytes, bytes]
"""A ticket's hash, and 65 bytes that claim to sign it."""

_START_S = 30.0
_ANSWER_S = 0.5  # 128 signatures take 5 to 15 ms; a gateway waits for 2 s in all
_IDLE_S = 120.0
_EXIT_S = 1.0
_MOST_PROCESSES = 4
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")


class Recovery(Protocol):
    """Recovers signers off the loop."""

    async def recover(self, signed: Sequence[Signed]) -> list[bytes | None] | None:
        """Each one's signer (20 bytes; None where the signature breaks a rule), or None: do it yourself."""
        ...


class Inline:
    """Nobody to ask: every payment is checked where it came in."""

    async def recover(self, signed: Sequence[Signed]) -> list[bytes | None] | None:
        """Do it yourself."""
        return None


@dataclass(slots=True)
class _Request:
    signed: Sequence[Signed]
    answer: "asyncio.Future[list[bytes | None] | None]"


class _Lost(Exception):
    """A process ended, or did not answer."""


class RecoveryPool:
    """A Recovery over processes of its own; an async context manager. One event loop's property.

    `processes` None: one for every two cores. `program` is what is run, given the agent's process id. A process that
    fails is replaced after `backoff`; until then everybody does the work himself.
    """

    def __init__(
        self,
        *,
        processes: int | None = None,
        answer_s: float = _ANSWER_S,
        idle_s: float = _IDLE_S,
        backoff: Backoff | None = None,
        rng: random.Random | None = None,
        clock: Clock | None = None,
        program: Path = Path(child.__file__),
    ) -> None:
        self._processes = processes or min(_MOST_PROCESSES, max(1, len(os.sched_getaffinity(0)) // 2))
        self._answer_s = answer_s
        self._idle_s = idle_s
        self._backoff = backoff or Backoff(first_s=1.0, cap_s=60.0)
        self._rng = rng or random.Random()
        self._clock = clock or SystemClock()
        self._program = program
        self._group = asyncio.TaskGroup()
        self._queue: asyncio.Queue[_Request] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: set[Process] = set()
        self._ready = 0
        self._resting_until = 0.0
        self._closed = True

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._closed = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)  # an error of the block is its own, none of the group's

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that there are now."""
        return tuple(process.pid for process in self._running)

    @property
    def is_ready(self) -> bool:
        """Whether the next payment would find a process to ask."""
        return self._ready > 0

    async def recover(self, signed: Sequence[Signed]) -> list[bytes | None] | None:
        """Ask a process; see Recovery. Where there is none one is started, for the next payment."""
        if not self._ready:
            self._start_soon()
            return None
        request = _Request(signed, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(request)
        return await request.answer

    def _start_soon(self) -> None:
        if self._closed or self._clock.monotonic() < self._resting_until:
            return
        while len(self._tasks) < self._processes:
            task = self._group.create_task(self._live(), name="ticket-recovery")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _live(self) -> None:
        """One process from its start to its end."""
        try:
            await self._start_and_serve()
        except (_Lost, OSError) as error:
            wait_s = self._backoff.next(self._rng)
            self._resting_until = self._clock.monotonic() + wait_s
            log.warning("ticket_recovery.lost", extra={"error": str(error), "wait_s": round(wait_s, 1)})

    async def _start_and_serve(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", str(self._program), str(os.getpid())),
                stdin=theirs.fileno(),
                stdout=DEVNULL,
                env={name: value for name, value in os.environ.items() if name in _PASSED_ON},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._running.add(process)
        ours.setblocking(False)  # noqa: FBT003 -- the standard library takes it by position only
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            if await _read(reader, len(child.READY), _START_S) != child.READY:
                raise _Lost("it did not start")
            await self._serve(reader, writer)
        finally:
            writer.close()
            await _end(process)
            self._running.discard(process)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until nobody has asked for a while."""
        self._ready += 1
        log.info("ticket_recovery.ready")
        try:
            while True:
                try:
                    async with asyncio.timeout(self._idle_s):
                        request = await self._queue.get()
                except TimeoutError:
                    return
                await self._answer(request, reader, writer)
                self._backoff.reset()
        finally:
            self._ready -= 1
            while not self._ready and not self._queue.empty():
                _settle(self._queue.get_nowait(), None)

    async def _answer(self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.answer.done():  # the asker went away
            return
        try:
            count = len(request.signed)
            writer.write(count.to_bytes(child.COUNT_BYTES, "big"))
            writer.write(b"".join(part for pair in request.signed for part in pair))
            raw = await _read(reader, count * child.SIGNER_BYTES, self._answer_s)
        except BaseException:
            _settle(request, None)
            raise
        signers = [raw[at : at + child.SIGNER_BYTES] for at in range(0, len(raw), child.SIGNER_BYTES)]
        _settle(request, [None if signer == child.NOBODY else signer for signer in signers])


def _settle(request: _Request, answer: list[bytes | None] | None) -> None:
    if not request.answer.done():
        request.answer.set_result(answer)


async def _read(reader: asyncio.StreamReader, size: int, within_s: float) -> bytes:
    try:
        async with asyncio.timeout(within_s):
            return await reader.readexactly(size)
    except TimeoutError:
        raise _Lost(f"no answer within {within_s:g} s") from None
    except (asyncio.IncompleteReadError, ConnectionError):
        raise _Lost("it ended") from None


async def _end(process: Process) -> None:
    """See it out: its socket is closed, so it should go by itself; one that hangs is killed."""
    try:
        async with asyncio.timeout(_EXIT_S):
            await process.wait()
    except BaseException as error:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if not isinstance(error, TimeoutError):
            raise
