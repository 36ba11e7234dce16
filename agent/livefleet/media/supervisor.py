"""One device's worker process as the agent sees it: started, listened to, restarted with backoff, ended."""

import asyncio
import logging
import os
import random
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from pathlib import Path

from livefleet.kernel import Backoff, Condition, ConditionBoard, SessionId, Status, run_duty
from livefleet.media.device import Device
from livefleet.media.errors import WorkerAbsent, WorkerExited, WorkerLost
from livefleet.media.messages import (
    LENGTH_BYTES,
    Cancel,
    Done,
    EndSession,
    Failed,
    FromWorker,
    Prove,
    Proven,
    Ready,
    RunJob,
    ToWorker,
    body_length,
    frame,
    parse_from_worker,
)
from livefleet.media.metering import CpuReading
from livefleet.media.probe import Probe

__all__ = ["CONDITION", "DeviceWorker"]

log = logging.getLogger(__name__)

CONDITION = "TranscoderReady"

_HELLO_TIMEOUT_S = 60.0  # a cold GPU driver takes seconds; samples of every format another
_EXIT_TIMEOUT_S = 1.0

# What a worker may know of the agent's environment: how to find libraries, nothing that could be a secret.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")
_PASSED_ON_PREFIXES = ("NVIDIA_", "CUDA_")

# Frames come and go on many threads. Measured with two 1080p streams: 350 MB held after a segment by the C library's
# own rules, 95 MB by these, at the same CPU time.
_MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "131072"}
_NO_THREADS = {"OPENBLAS_NUM_THREADS": "1"}  # numpy adds up a few numbers a frame and needs none of its own


class DeviceWorker:
    """Keeps a process for one device. `run` is a duty of whoever owns this; the rest may be called beside it."""

    def __init__(
        self, device: Device, *, slots: int, folder: Path, board: ConditionBoard, backoff: Backoff, rng: random.Random
    ) -> None:
        self.device = device
        self.slots = slots
        self.probe: Probe | None = None  # of the process last ready, until the one after it does not become so
        self.settled = asyncio.Event()  # ready, or known not to become so soon
        self._folder = folder
        self._board = board
        self._backoff = backoff
        self._rng = rng
        self._closed = False
        self._ready = asyncio.Event()
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._was_ready = False  # the process that ended last
        self._said: tuple[Status, str, str] | None = None
        self._gates_ready = True
        self._pending: dict[int, asyncio.Future[Done | Failed | Proven]] = {}

    @property
    def is_ready(self) -> bool:
        """Whether a process is there to take jobs."""
        return self._writer is not None

    @property
    def pid(self) -> int | None:
        """The process's id while there is one."""
        return None if self._process is None else self._process.pid

    def cpu_time(self) -> CpuReading | None:
        """The process's id and the CPU seconds that all its threads have used; None while there is no process."""
        pid = self.pid
        if pid is None:
            return None
        try:
            return pid, time.clock_gettime(_cpu_clock(pid))
        except OSError:  # it has ended this very moment
            return None

    async def run(self) -> None:
        """Have a process until cancelled."""
        self._report(Status.UNKNOWN, "Starting", "the worker process is being started")
        try:
            await run_duty(
                f"media.{self.device.id}",
                self._live_once,
                on_failure=self._report_failure,
                backoff=self._backoff,
                rng=self._rng,
            )
        finally:
            self._closed = True
            self.probe = None
            self._ready.set()  # nobody waits for what will not come
            self._said = None
            self._board.withdraw(CONDITION, self.device.id)

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait for a process to take jobs. Raises WorkerAbsent when none comes in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            raise WorkerAbsent(f"no worker process for {self.device.id} within {timeout_s:g} s") from None
        if self._closed:
            raise WorkerAbsent(f"the worker of {self.device.id} is closed")

    async def execute(self, job: RunJob) -> Done | Failed:
        """Have a job done. Raises WorkerLost when the process goes away; cancellation gives the job up."""
        try:
            answer = await self._answer(job)
        except asyncio.CancelledError:
            self._send(Cancel(job.id))
            raise
        assert not isinstance(answer, Proven)  # nobody asked for that
        return answer

    async def prove(self, number: int) -> str:
        """Have a sample transcoded; what was wrong with it, empty when nothing was. Raises WorkerLost."""
        answer = await self._answer(Prove(number))
        return answer.detail if isinstance(answer, Failed) else ""

    async def _answer(self, message: RunJob | Prove) -> Done | Failed | Proven:
        if self._writer is None:
            raise WorkerAbsent(f"no worker process for {self.device.id}")
        answer: asyncio.Future[Done | Failed | Proven] = asyncio.get_running_loop().create_future()
        self._pending[message.id] = answer
        try:
            self._send(message)
            return await answer
        finally:
            del self._pending[message.id]

    def cancel(self, job_id: int) -> None:
        """Ask the process to give a job up; the job then ends as failed."""
        self._send(Cancel(job_id))

    def gate(self, *, on: bool) -> None:
        """Whether the node is not ready without it, as it is at first."""
        if on is self._gates_ready:
            return
        self._gates_ready = on
        if self._said is not None:
            self._report(*self._said)

    def end_session(self, session: SessionId) -> None:
        """Have the process let go of what it keeps for a session."""
        self._send(EndSession(session))

    def kill(self, why: str) -> None:
        """End the process now; another is started."""
        process = self._process
        if process is not None and process.returncode is None:
            log.warning("worker.killed", extra={"device": self.device.id, "pid": process.pid, "why": why})
            process.kill()

    def _send(self, message: ToWorker) -> None:
        if self._writer is not None:
            self._writer.write(frame(message))

    async def _live_once(self) -> None:
        self._was_ready = False
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command(), stdin=theirs.fileno(), stdout=DEVNULL, env=_environment(self.device, os.environ)
            )
        ours.setblocking(False)  # noqa: FBT003 -- the standard library takes it by position only
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            async with asyncio.timeout(_HELLO_TIMEOUT_S):
                await self._greet(reader)
            self._writer = writer
            self._was_ready = True
            self._ready.set()
            self.settled.set()
            self._report(Status.TRUE, "Ready", f"{self.device.encoder} works; process {process.pid}")
            log.info("worker.ready", extra={"device": self.device.id, "pid": process.pid})
            while True:
                self._settle(await _read(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerExited(f"the worker process {await _ending(process)}", reason="WorkerExited") from None
        except TimeoutError:
            raise WorkerExited("the worker process did not become ready", reason="NotReady") from None
        finally:
            self._ready.clear()
            self._writer = None
            for answer in self._pending.values():
                if not answer.done():
                    answer.set_exception(WorkerLost(f"the worker process of {self.device.id} went away"))
            writer.close()
            await _end(process)
            self._process = None

    async def _greet(self, reader: asyncio.StreamReader) -> None:
        hello = await _read(reader)
        if not isinstance(hello, Ready):
            raise WorkerExited(f"the worker process began with {hello.kind}", reason="NotReady")
        if hello.probe.problem:
            reason = "ProofFailed" if hello.probe.encoders else "EncoderMissing"
            raise WorkerExited(hello.probe.problem, reason=reason)
        self.probe = hello.probe

    def _settle(self, message: FromWorker) -> None:
        if isinstance(message, Ready):
            return
        answer = self._pending.get(message.id)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-P", "-m", "livefleet.media.worker"),
            *("--device", self.device.id),
            *("--kind", self.device.kind.value),
            *("--slots", str(self.slots)),
            *("--folder", str(self._folder)),
            *("--agent", str(os.getpid())),
        ]

    def _report_failure(self, error: BaseException) -> None:
        self.settled.set()
        if not self._was_ready:
            self.probe = None
        reason = error.reason if isinstance(error, WorkerExited) else type(error).__name__
        self._report(Status.FALSE, reason, f"{error}; another is started shortly")

    def _report(self, status: Status, reason: str, message: str) -> None:
        self._said = status, reason, message
        self._board.report(Condition(CONDITION, status, reason, message, self.device.id, gates_ready=self._gates_ready))


def _cpu_clock(pid: int) -> int:
    """The number of another process's CPU clock, as clock_getcpuclockid(3) makes it; Python has no name for it."""
    return (~pid << 3) | 2


def _environment(device: Device, ours: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in ours.items() if k in _PASSED_ON or k.startswith(_PASSED_ON_PREFIXES)}
    return kept | _MEMORY | _NO_THREADS | device.environment()


async def _read(reader: asyncio.StreamReader) -> FromWorker:
    length = body_length(await reader.readexactly(LENGTH_BYTES))
    return parse_from_worker(await reader.readexactly(length))


async def _ending(process: Process) -> str:
    """How a process whose socket has closed came to its end."""
    try:
        async with asyncio.timeout(_EXIT_TIMEOUT_S):
            code = await process.wait()
    except TimeoutError:
        return "closed its socket"
    return f"died of {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"


async def _end(process: Process) -> None:
    """See the process out: its socket is closed, so it should go by itself."""
    try:
        async with asyncio.timeout(_EXIT_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
