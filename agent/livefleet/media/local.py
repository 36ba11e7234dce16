"""The node's own devices as a `Transcoder`."""

import asyncio
import itertools
import logging
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from livefleet.kernel import Backoff, Blocking, Clock, ConditionBoard, SessionId
from livefleet.media.capabilities import capability_ids
from livefleet.media.device import Device, DeviceKind
from livefleet.media.errors import WorkerLost
from livefleet.media.messages import Done, Failed, RunJob
from livefleet.media.models import Rendition, TranscodeError, TranscodeJob, TranscodeResult
from livefleet.media.rendition import check_job
from livefleet.media.slots import Slots
from livefleet.media.supervisor import DeviceWorker

__all__ = ["LocalTranscoder", "segment_deadline_s"]

log = logging.getLogger(__name__)

_READY_TIMEOUT_S = 15.0
_GIVE_UP_S = 2.0  # a job that is merely slow answers a cancellation within some frames
_SESSION_IDLE_S = 70.0
_GPU_SLOTS = 4
_QUEUE_PER_SLOT = 4


def segment_deadline_s(duration_ms: int) -> float:
    """How long a segment may take before its worker counts as hanging: gateways have given it up long before."""
    return max(8.0, 4 * duration_ms / 1000)


@dataclass(slots=True)
class _Lane:
    """A device with the jobs that wait for it or are on it."""

    worker: DeviceWorker
    folder: Path
    slots: Slots
    jobs: int = 0


@dataclass(slots=True)
class _Session:
    lane: _Lane
    load: int  # pixels a second over all profiles
    last_used: float  # monotonic seconds
    jobs: int = field(default=0)


class LocalTranscoder:
    """Devices of this machine, a process each. Enter it to start the processes; leaving drains and ends them.

    `run_dir` belongs to this object alone: segments pass through it as files, so it should be on tmpfs. What an earlier
    owner left there is removed. Entering waits until every device has been tried once, `ready_timeout_s` at most.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        run_dir: Path,
        board: ConditionBoard,
        clock: Clock,
        max_sessions: int = 10,
        drain_s: float = 5.0,
        ready_timeout_s: float = _READY_TIMEOUT_S,
        deadline_s: Callable[[int], float] = segment_deadline_s,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock
        self._run_dir = run_dir
        self._max_sessions = max_sessions
        self._drain_s = drain_s
        self._ready_timeout_s = ready_timeout_s
        self._deadline_s = deadline_s
        self._ids = itertools.count(1)
        self._sessions: dict[SessionId, _Session] = {}
        self._files = Blocking("media-files", workers=2)
        self._tasks = asyncio.TaskGroup()
        self._duties: list[asyncio.Task[None]] = []
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._lanes = [
            _make_lane(device, run_dir / f"device-{number}", board, rng or random.Random())
            for number, device in enumerate(devices)
        ]

    async def __aenter__(self) -> Self:
        self._prepare_folder()
        await self._tasks.__aenter__()
        self._duties = [self._tasks.create_task(lane.worker.run()) for lane in self._lanes]
        try:
            async with asyncio.timeout(self._ready_timeout_s):
                for lane in self._lanes:
                    await lane.worker.settled.wait()
        except TimeoutError:
            pass  # the conditions tell which device is not there yet
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        try:
            async with asyncio.timeout(self._drain_s):
                await self._idle.wait()
        except TimeoutError:
            pass  # whoever still waits hears TranscoderStopped
        finally:
            for duty in self._duties:
                duty.cancel()
            await self._tasks.__aexit__(None, None, None)
            await self._idle.wait()  # without processes every job left fails at once
            await self._files.__aexit__(None, None, None)
            shutil.rmtree(self._run_dir, ignore_errors=True)

    @property
    def capability_ids(self) -> frozenset[int]:
        """What every ready device can do; empty while none is ready."""
        probes = [lane.worker.probe for lane in self._lanes if lane.worker.is_ready]
        return frozenset.intersection(*(capability_ids(p) for p in probes if p is not None)) if probes else frozenset()

    @property
    def sessions(self) -> int:
        """Sessions open now."""
        self._drop_idle_sessions()
        return len(self._sessions)

    @property
    def worker_pids(self) -> dict[str, int | None]:
        """The worker process of each device, by device id."""
        return {lane.worker.device.id: lane.worker.pid for lane in self._lanes}

    async def transcode(self, job: TranscodeJob) -> TranscodeResult:
        """Do the job on its session's device.

        Raises TranscodeError: `TranscoderBusy` when too much waits already, `TranscoderStopped` when the worker was
        lost twice, hung or is being closed, else what the segment deserves. Cancellation gives the job up.
        """
        check_job(job)
        if self._closing:
            raise TranscodeError("TranscoderStopped", detail="the transcoder is being closed")
        session = self._session(job)
        async with self._admitted(session):
            try:
                return await self._attempt(job, session.lane, alone=False)
            except WorkerLost as error:
                log.warning("segment.retried", extra={"sequence": job.sequence, "error": str(error)})
                session.lane = self._best_lane(session.lane)
            try:
                return await self._attempt(job, session.lane, alone=True)
            except WorkerLost as error:
                raise TranscodeError("TranscoderStopped", detail=str(error)) from error

    async def end_session(self, session: SessionId) -> None:
        """Free the session's place. Unknown sessions are fine."""
        self._sessions.pop(session, None)

    def _prepare_folder(self) -> None:
        shutil.rmtree(self._run_dir, ignore_errors=True)
        for lane in self._lanes:
            lane.folder.mkdir(parents=True, mode=0o700)

    def _session(self, job: TranscodeJob) -> _Session:
        self._drop_idle_sessions()
        session = self._sessions.get(job.session)
        if session is None:
            if len(self._sessions) >= self._max_sessions:
                raise TranscodeError("TranscoderBusy", detail=f"{self._max_sessions} sessions are open")
            load = sum(p.width * p.height * (p.fps // (p.fps_den or 1) or 30) for p in job.profiles)
            session = _Session(self._best_lane(), load, self._clock.monotonic())
            self._sessions[job.session] = session
        elif not session.lane.worker.is_ready:
            session.lane = self._best_lane(session.lane)
        return session

    def _drop_idle_sessions(self) -> None:
        oldest = self._clock.monotonic() - _SESSION_IDLE_S
        for key in [k for k, s in self._sessions.items() if not s.jobs and s.last_used < oldest]:
            del self._sessions[key]

    def _best_lane(self, staying: _Lane | None = None) -> _Lane:
        """The least loaded device that is ready; without any, the one to stay on."""
        if not self._lanes:
            raise TranscodeError("TranscoderStopped", detail="the node has no transcoding device")
        ready = [lane for lane in self._lanes if lane.worker.is_ready]
        if not ready:
            return staying or self._lanes[0]
        loads = {id(lane): sum(s.load for s in self._sessions.values() if s.lane is lane) for lane in ready}
        return min(ready, key=lambda lane: loads[id(lane)])

    @asynccontextmanager
    async def _admitted(self, session: _Session) -> AsyncIterator[None]:
        lane = session.lane
        limit = lane.worker.slots * (1 + _QUEUE_PER_SLOT)
        if lane.jobs >= limit:
            raise TranscodeError("TranscoderBusy", detail=f"{lane.jobs} segments wait for {lane.worker.device.id}")
        lane.jobs += 1
        session.jobs += 1
        self._idle.clear()
        try:
            yield
        finally:
            lane.jobs -= 1
            session.jobs -= 1
            session.last_used = self._clock.monotonic()
            if not any(other.jobs for other in self._lanes):
                self._idle.set()

    async def _attempt(self, job: TranscodeJob, lane: _Lane, *, alone: bool) -> TranscodeResult:
        """One try. After a crash jobs are tried alone, so that only the one at fault is lost again."""
        async with lane.slots.take(alone=alone), self._job_folder(lane) as (number, folder):
            await lane.worker.wait_ready(_READY_TIMEOUT_S)
            message = await self._files.run(_message, job, number, folder)
            answer = await self._within_deadline(message, lane.worker, self._deadline_s(job.duration_ms))
            if isinstance(answer, Failed):
                raise TranscodeError(answer.text, detail=answer.detail)
            return await self._files.run(_result, answer, message.outputs)

    @asynccontextmanager
    async def _job_folder(self, lane: _Lane) -> AsyncIterator[tuple[int, Path]]:
        number = next(self._ids)
        folder = lane.folder / f"job-{number}"
        folder.mkdir(mode=0o700)
        try:
            yield number, folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _within_deadline(self, message: RunJob, worker: DeviceWorker, deadline_s: float) -> Done | Failed:
        """The worker's answer.

        A job that is too slow is given up alone; one that cannot even give up takes its process along.
        """
        loop = asyncio.get_running_loop()
        hung_at = loop.time() + deadline_s + _GIVE_UP_S
        timers = (
            loop.call_later(deadline_s, worker.cancel, message.id),
            loop.call_at(hung_at, worker.kill, f"segment {message.sequence} hangs"),
        )
        try:
            return await worker.execute(message)
        except WorkerLost as error:
            if loop.time() >= hung_at:
                raise TranscodeError("TranscoderStopped", detail=f"no answer within {deadline_s:g} s") from error
            raise
        finally:
            for timer in timers:
                timer.cancel()


def _make_lane(device: Device, folder: Path, board: ConditionBoard, rng: random.Random) -> _Lane:
    slots = device.slots or (_GPU_SLOTS if device.kind is DeviceKind.NVIDIA else len(os.sched_getaffinity(0)))
    backoff = Backoff(first_s=0.1, factor=2, cap_s=30)
    worker = DeviceWorker(device, slots=slots, folder=folder, board=board, backoff=backoff, rng=rng)
    return _Lane(worker, folder, Slots(slots))


def _message(job: TranscodeJob, number: int, folder: Path) -> RunJob:
    """The job as a worker gets it; a source in memory goes into a file."""
    source = job.source
    if isinstance(source, bytes):
        source_file = folder / "source"
        source_file.write_bytes(source)
    else:
        source_file = source.absolute()
    return RunJob(
        id=number,
        sequence=job.sequence,
        source=source_file,
        outputs=tuple(folder / f"rendition-{index}" for index in range(len(job.profiles))),
        duration_ms=job.duration_ms,
        profiles=job.profiles,
        orchestrator_id=job.orchestrator_id,
        clip_from_ms=job.clip_from_ms,
        clip_to_ms=job.clip_to_ms,
    )


def _result(answer: Done, outputs: Sequence[Path]) -> TranscodeResult:
    renditions = (
        Rendition(path.read_bytes(), pixels) for path, pixels in zip(outputs, answer.encoded_pixels, strict=True)
    )
    return TranscodeResult(tuple(renditions), answer.decoded_pixels)
