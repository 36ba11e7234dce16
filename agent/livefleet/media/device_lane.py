"""A device with its places, and one try of a job on it."""

import asyncio
import itertools
import logging
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from livefleet.kernel import Backoff, Blocking, ConditionBoard
from livefleet.media.device import Device, DeviceKind
from livefleet.media.errors import WorkerHung, WorkerLost
from livefleet.media.messages import Done, Failed, RunJob
from livefleet.media.metering import Meter, Usage
from livefleet.media.models import Rendition, TranscodeError, TranscodeJob, TranscodeResult, hash_path
from livefleet.media.slots import Slots
from livefleet.media.supervisor import DeviceWorker

__all__ = ["READY_TIMEOUT_S", "DeviceLane", "Outcome", "places_of", "segment_deadline_s"]

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 15.0
_GPU_PLACES = 4
_GIVE_UP_S = 2.0  # a job that is merely slow answers a cancellation within some frames
_STALL_S = 3.0  # without any use of the CPU; a retry elsewhere is then still in time for the gateway
_STALL_CPU_S = 0.001
_LOOK_EVERY_S = 0.5
_PROOF_S = 30.0  # a sample takes a fraction of a second; a device at its limit, some


def segment_deadline_s(duration_ms: int) -> float:
    """How long a segment may take before its worker counts as hanging: gateways have given it up long before."""
    return max(8.0, 4 * duration_ms / 1000)


def places_of(device: Device) -> int:
    """Jobs at once on a device."""
    return device.slots or (_GPU_PLACES if device.kind is DeviceKind.NVIDIA else len(os.sched_getaffinity(0)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job done, and what it took."""

    result: TranscodeResult
    usage: Usage


class DeviceLane:
    """Keeps a device's worker process (`worker.run` is a duty of whoever owns this) and gives it jobs."""

    def __init__(
        self,
        device: Device,
        folder: Path,
        *,
        board: ConditionBoard,
        rng: random.Random,
        files: Blocking,
        now: Callable[[], float],
        deadline_s: Callable[[int], float],
    ) -> None:
        self.id = device.id
        self.jobs = 0
        """Tries that are waiting for a place or under way; for reading only."""
        self.failed_proofs = 0
        """Processes that were ended because a sample did not come through; for reading only."""
        self.folder = folder
        places = places_of(device)
        backoff = Backoff(first_s=0.1, factor=2, cap_s=30)
        self.worker = DeviceWorker(device, slots=places, folder=folder, board=board, backoff=backoff, rng=rng)
        self._numbers = itertools.count(1)
        self._slots = Slots(places)
        self._meter = Meter(self.worker.cpu_time, now)
        self._files = files
        self._deadline_s = deadline_s
        self._now = now
        self._worked_at = now()

    async def attempt(self, job: TranscodeJob, *, weight: float, alone: bool) -> Outcome:
        """One try. `alone`: with no other job on the device, so that nobody else is lost with this one.

        Raises TranscodeError, or WorkerLost where the job may be tried again.
        """
        number = next(self._numbers)
        async with self._counted(), self._slots.take(alone=alone), self._job_folder(number) as folder:
            await self.worker.wait_ready(READY_TIMEOUT_S)
            message = await self._files.run(_message, job, number, folder)
            self._meter.begin(number, weight)
            try:
                answer = await self._answer(message, self._deadline_s(job.duration_ms))
            finally:
                usage = self._meter.end(number)
            if isinstance(answer, Failed):
                raise TranscodeError(answer.text, detail=answer.detail)
            self._worked_at = self._now()
            return Outcome(await self._files.run(_result, answer, message), usage)

    async def prove(self, *, every_s: float) -> None:
        """Have a sample transcoded, unless a segment was within `every_s`: that is proof enough.

        A process that fails is ended. The one after it serves once it has passed the same, and until then the device
        is not offered.
        """
        if not self.worker.is_ready or self._now() - self._worked_at < every_s:
            return
        try:
            async with self._slots.take(), asyncio.timeout(_PROOF_S):
                problem = await self.worker.prove(next(self._numbers))
        except TimeoutError:
            problem = f"a sample was not done within {_PROOF_S:g} s"
        except WorkerLost:
            return  # another process is started, and begins with the same
        if problem:
            self.failed_proofs += 1
            self.worker.kill(problem)
        else:
            self._worked_at = self._now()

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self.jobs += 1
        try:
            yield
        finally:
            self.jobs -= 1

    @asynccontextmanager
    async def _job_folder(self, number: int) -> AsyncIterator[Path]:
        folder = self.folder / f"job-{number}"
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _answer(self, message: RunJob, deadline_s: float) -> Done | Failed:
        """The worker's answer.

        A job that is too slow is given up alone; one that cannot even give up takes its process along, and so does one
        during which the process stands still.
        """
        watch = _Watch(self.worker, message, deadline_s)
        watch.start()
        try:
            return await self.worker.execute(message)
        except WorkerLost as error:
            if watch.is_overdue:
                raise WorkerHung(f"no answer within {deadline_s:g} s") from error
            raise
        finally:
            watch.stop()


class _Watch:
    """Looks at a job's process from time to time."""

    def __init__(self, worker: DeviceWorker, message: RunJob, deadline_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._worker = worker
        self._message = message
        self._moved_at = self._loop.time()
        self._reading = worker.cpu_time()
        self._give_up_at = self._moved_at + deadline_s
        self._hung_at = self._give_up_at + _GIVE_UP_S
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def is_overdue(self) -> bool:
        """Whether the time to give up has passed without an answer."""
        return self._loop.time() >= self._hung_at

    def start(self) -> None:
        self._timers = [
            self._loop.call_at(self._give_up_at, self._worker.cancel, self._message.id),
            self._loop.call_at(self._hung_at, self._worker.kill, f"segment {self._message.sequence} hangs"),
            self._loop.call_later(_LOOK_EVERY_S, self._look),
        ]

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _look(self) -> None:
        before, after = self._reading, self._worker.cpu_time()
        now = self._loop.time()
        if before is None or after is None or before[0] != after[0] or after[1] - before[1] > _STALL_CPU_S:
            self._reading, self._moved_at = after, now
        elif now - self._moved_at >= _STALL_S:
            self._worker.kill(f"segment {self._message.sequence}: the process stands still")
            return
        self._timers[-1] = self._loop.call_later(_LOOK_EVERY_S, self._look)


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
        calc_perceptual_hash=job.calc_perceptual_hash,
        session=job.session,
        force_reinit=job.force_reinit,
    )


def _result(answer: Done, message: RunJob) -> TranscodeResult:
    renditions = (
        Rendition(path.read_bytes(), pixels, _hash(path) if message.calc_perceptual_hash else None)
        for path, pixels in zip(message.outputs, answer.encoded_pixels, strict=True)
    )
    return TranscodeResult(tuple(renditions), answer.decoded_pixels)


def _hash(output: Path) -> bytes | None:
    """A rendition is worth delivering without its hash too."""
    try:
        return hash_path(output).read_bytes()
    except FileNotFoundError:
        log.warning("rendition.without_hash", extra={"rendition": output.name})
        return None
