"""The node's own devices as a `Transcoder`."""

import asyncio
import hashlib
import logging
import math
import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from livefleet.hardware import NoMemory, VramLedger
from livefleet.kernel import Blocking, Clock, ConditionBoard, SessionId
from livefleet.media.admission import Admission, Cost, MachineLoad, pixels_per_s
from livefleet.media.cores import busy_seconds, usable_cores
from livefleet.media.device import Device, DeviceKind
from livefleet.media.device_lane import READY_TIMEOUT_S, DeviceLane, Outcome, places_of, segment_deadline_s
from livefleet.media.device_lanes import DeviceLanes
from livefleet.media.device_memory import TranscodingMemory
from livefleet.media.errors import WorkerAbsent, WorkerHung, WorkerLost
from livefleet.media.models import Profile, TranscodeError, TranscodeJob, TranscodeResult
from livefleet.media.other_load import OtherLoad
from livefleet.media.poison import PoisonMemory
from livefleet.media.rendition import check_job

__all__ = ["NO_LIMIT", "LocalTranscoder"]

log = logging.getLogger(__name__)

NO_LIMIT = math.inf
"""A `max_load` with which no session is refused for what it costs."""

_SESSION_IDLE_S = 70.0
_LOOK_EVERY_S = 1.0
_UNMEASURED_SESSIONS = 10  # the network's usual number
_QUEUE = 4  # segments of one session that wait behind the one at work

# What a pixel costs where nothing has been measured: x264 at its medium preset on one core of a cloud machine, and a
# GPU whose scaling the CPU does. Gone with the first segment.
_ASSUMED = {DeviceKind.CPU: Cost(cpu=6e-8, place=6e-8), DeviceKind.NVIDIA: Cost(cpu=2e-8, place=1e-8)}


@dataclass(slots=True)
class _Session:
    """What is open, besides its place in the book of costs."""

    pixels_per_s: float
    last_used: float  # monotonic seconds
    jobs: int = 0


class LocalTranscoder:
    """Devices of this machine, a process each. Enter it to start the processes; leaving drains and ends them.

    `run_dir` belongs to this object alone: segments pass through it as files, so it should be on tmpfs. What an earlier
    owner left there is removed. Entering waits until every device has been tried once, `ready_timeout_s` at most.

    A new session is taken while all sessions' measured cost stays within `max_load` of the machine's cores and of its
    device's places, and while fewer than `max_sessions` are open (None: any number). `pixel_costs`, by device id, are
    what a benchmark has found; they serve until segments have been measured. `cores` None: those of the machine, less
    what other processes are seen to use. `ledger`: where streams book GPUs' memory beside models; None: nowhere.
    A device that had no segment for `proof_interval_s` has to transcode a sample; None: at its process's start alone.
    `arrivals` tells devices that may have come meanwhile; they join. `stand_ins` work while no other device is ready.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        run_dir: Path,
        board: ConditionBoard,
        clock: Clock,
        max_sessions: int | None = 10,
        max_load: float = 0.8,
        pixel_costs: Mapping[str, Cost] | None = None,
        cores: float | None = None,
        drain_s: float = 5.0,
        ready_timeout_s: float = READY_TIMEOUT_S,
        deadline_s: Callable[[int], float] = segment_deadline_s,
        rng: random.Random | None = None,
        ledger: VramLedger | None = None,
        proof_interval_s: float | None = None,
        arrivals: Callable[[], Iterable[Device]] = tuple,
        stand_ins: Iterable[str] = (),
    ) -> None:
        self._clock = clock
        self._run_dir = run_dir
        self._max_sessions = max_sessions
        self._drain_s = drain_s
        self._sessions: dict[SessionId, _Session] = {}
        self._poison = PoisonMemory(clock)
        self._files = Blocking("media-files", workers=2)
        self._closing = False
        self._jobs = 0
        self.retries = 0
        """Segments tried a second time after their worker process was lost; for reading only."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._held = AsyncExitStack()
        self._lanes = DeviceLanes(
            devices,
            folder=run_dir,
            board=board,
            clock=clock,
            files=self._files,
            joined=self._joined,
            ready_timeout_s=ready_timeout_s,
            deadline_s=deadline_s,
            rng=rng,
            proof_interval_s=proof_interval_s,
            arrivals=arrivals,
            stand_ins=stand_ins,
        )
        self._memory = None if ledger is None else TranscodingMemory(ledger, devices)
        self._others = None if cores is not None else OtherLoad(busy_seconds, self._lanes.cpu_times, clock.monotonic)
        self._admission = Admission(
            {device.id: places_of(device) for device in devices},
            {device.id: _ASSUMED[device.kind] for device in devices} | dict(pixel_costs or {}),
            cores=cores or usable_cores(),
            max_load=max_load,
            max_sessions=max_sessions,
        )

    async def __aenter__(self) -> Self:
        shutil.rmtree(self._run_dir, ignore_errors=True)
        async with AsyncExitStack() as held:
            held.callback(shutil.rmtree, self._run_dir, ignore_errors=True)
            if self._memory is not None:
                held.callback(self._memory.close)
            held.push_async_exit(self._files)
            held.push_async_callback(self._idle.wait)  # without processes every job left fails at once
            await held.enter_async_context(self._lanes)
            if self._others is not None:
                tasks = await held.enter_async_context(asyncio.TaskGroup())
                held.callback(tasks.create_task(self._watch(self._others)).cancel)
            self._held = held.pop_all()
        if self._memory is not None:
            self._book_memory(self._memory)
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
            await self._held.aclose()

    @property
    def capability_ids(self) -> frozenset[int]:
        """What every ready device can do; where none is, what those can that have just lost their process.

        Their sessions' next segments wait for the new process: to be refused meanwhile would end the streams.
        """
        return self._lanes.capability_ids

    @property
    def sessions(self) -> int:
        """Sessions open now."""
        self._drop_idle_sessions()
        return len(self._sessions)

    @property
    def suspected_segments(self) -> int:
        """Segments remembered for having taken a worker process down."""
        return len(self._poison)

    @property
    def busy_sessions(self) -> int:
        """Of these, those with a segment in work."""
        return sum(bool(session.jobs) for session in self._sessions.values())

    @property
    def device_jobs(self) -> dict[str, int]:
        """Segments in work by device id."""
        return {lane.id: lane.jobs for lane in self._lanes}

    @property
    def failed_proofs(self) -> dict[str, int]:
        """Worker processes ended because a sample did not come through, by device id."""
        return {lane.id: lane.failed_proofs for lane in self._lanes}

    @property
    def devices(self) -> tuple[Device, ...]:
        """All of them."""
        return tuple(lane.worker.device for lane in self._lanes)

    @property
    def emptying(self) -> frozenset[str]:
        """Devices that are being emptied."""
        return self._lanes.emptying

    @property
    def is_emptied(self) -> bool:
        """Whether all of them are: no new session is taken, and open ones go on."""
        return self._lanes.is_emptied

    def empty(self, devices: Iterable[str]) -> None:
        """Empty these devices, and use all others again: their sessions go to the others, from the next segment on.

        What is in work there is finished. Where nothing else is left, open sessions stay.
        """
        wanted = frozenset(devices)
        self._lanes.empty(wanted, prove=not self._closing)
        for session in self._sessions if wanted else ():
            self._admission.device_of(session, self._lanes.usable)

    def limit(self, *, max_load: float, max_sessions: int | Literal["same"] | None = "same") -> None:
        """Take new sessions by these from now on (None: any number); open ones stay."""
        if max_sessions != "same":
            self._max_sessions = max_sessions
        self._admission.limit(max_load=max_load, max_sessions=self._max_sessions)

    @property
    def load(self) -> MachineLoad:
        """What the open sessions cost."""
        self._drop_idle_sessions()
        return self._admission.load

    @property
    def capacity(self) -> int:
        """The number of sessions to tell where the wire wants one; what is taken depends on their cost.

        Devices that are being emptied have no share in it.
        """
        whole = _UNMEASURED_SESSIONS if self._max_sessions is None else self._max_sessions
        return self._lanes.in_service(whole)

    @property
    def worker_pids(self) -> dict[str, int | None]:
        """The worker process of each device, by device id."""
        return self._lanes.pids

    def has_room(self, profiles: Sequence[Profile] = ()) -> bool:
        """Whether a new session with these profiles would be taken now; without any, one like those that are open."""
        self._drop_idle_sessions()
        wanted = pixels_per_s(profiles) if profiles else None
        device = self._admission.room_for(wanted, self._lanes.usable) if self._takes_sessions else None
        return device is not None and (self._memory is None or self._memory.has_room(device))

    def open_session(self, session: SessionId, profiles: Sequence[Profile]) -> bool:
        """Take a session in before its first segment, so that its place is safe; whether it is in now.

        True for an open session. `transcode` does this by itself; it is for who must know before taking money.
        """
        self._drop_idle_sessions()
        if session in self._sessions:
            return True
        wanted = pixels_per_s(profiles)
        if not self._takes_sessions:
            return False
        device = self._admission.open(session, wanted, self._lanes.usable)
        if device is None:
            return False
        if self._memory is not None and not self._memory.take(device):
            self._admission.close(session)
            return False
        self._sessions[session] = _Session(wanted, self._clock.monotonic())
        return True

    async def transcode(self, job: TranscodeJob) -> TranscodeResult:
        """Do the job on its session's device.

        Raises TranscodeError: `TranscoderBusy` for a new session that does not fit and where too much of a session
        waits already, `TranscoderStopped` when the worker was lost twice, hung or is being closed,
        `TranscoderInvalidVideo` for a segment known to take workers down, else what the segment deserves.
        Cancellation gives the job up.
        """
        check_job(job)
        if self._closing:
            raise TranscodeError("TranscoderStopped", detail="the transcoder is being closed")
        if not self._lanes:
            raise TranscodeError("TranscoderStopped", detail="the node has no transcoding device")
        if len(self._poison) and self._poison.is_poison(await self._files.run(_digest, job)):
            raise TranscodeError("TranscoderInvalidVideo", detail="this segment has taken worker processes down")
        if not self.open_session(job.session, job.profiles):
            raise TranscodeError("TranscoderBusy", detail=f"no room beside {len(self._sessions)} sessions")
        session = self._sessions[job.session]
        async with self._counted(session):
            lane = self._lane_of(job.session)
            await self._memory_is_there(lane.id)
            outcome = await self._with_retry(job, session, lane)
        return outcome.result

    async def end_session(self, session: SessionId) -> None:
        """Free the session's place. Unknown sessions are fine."""
        self._close(session)

    async def _watch(self, others: OtherLoad) -> None:
        """Keep the book informed of what is left of the machine."""
        while True:
            others.look()
            self._admission.cpu_of_others = others.cores
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _memory_is_there(self, device: str) -> None:
        """Wait until models that had to leave for the device's streams have left."""
        if self._memory is None:
            return
        self._book_memory(self._memory)
        try:
            await self._memory.ready(device)
        except NoMemory as error:
            raise TranscodeError("TranscoderBusy", detail=str(error)) from error

    def _book_memory(self, memory: TranscodingMemory) -> None:
        memory.follow({device.id: device.sessions for device in self._admission.load.devices}, self._lanes.pids)

    def _joined(self, device: Device) -> None:
        self._admission.add(device.id, places_of(device), _ASSUMED[device.kind])
        if self._memory is not None:
            self._memory.add(device)

    def _drop_idle_sessions(self) -> None:
        oldest = self._clock.monotonic() - _SESSION_IDLE_S
        for key in [k for k, s in self._sessions.items() if not s.jobs and s.last_used < oldest]:
            self._close(key)

    def _close(self, session: SessionId) -> None:
        self._sessions.pop(session, None)
        self._admission.close(session)
        if self._memory is not None:
            self._book_memory(self._memory)
        self._lanes.end_session(session)

    @property
    def _takes_sessions(self) -> bool:
        return not self._closing and not self.is_emptied

    def _lane_of(self, session: SessionId, *, avoid: DeviceLane | None = None) -> DeviceLane:
        """Where the session's next segment goes, away from `avoid` if that can be. Ended sessions are served too."""
        usable = self._lanes.usable
        others = [name for name in usable if avoid is None or name != avoid.id] or usable
        known = session in self._admission
        return self._lanes[self._admission.device_of(session, others) if known else others[0]]

    @asynccontextmanager
    async def _counted(self, session: _Session) -> AsyncIterator[None]:
        if session.jobs > _QUEUE:
            raise TranscodeError("TranscoderBusy", detail=f"{session.jobs} segments of the session are unfinished")
        session.jobs += 1
        self._jobs += 1
        self._idle.clear()
        try:
            yield
        finally:
            session.jobs -= 1
            session.last_used = self._clock.monotonic()
            self._jobs -= 1
            if not self._jobs:
                self._idle.set()

    async def _with_retry(self, job: TranscodeJob, session: _Session, lane: DeviceLane) -> Outcome:
        """Two tries; the second alone on its device, and on another one where there is one."""
        try:
            return await self._attempt(job, session, lane, alone=False)
        except WorkerLost as error:
            await self._blame(job, error)
            other = self._lane_of(job.session, avoid=lane)
            if isinstance(error, WorkerHung) and (other is lane or not other.worker.is_ready):
                raise TranscodeError("TranscoderStopped", detail=str(error)) from error
            self.retries += 1
            log.warning("segment.retried", extra={"sequence": job.sequence, "device": other.id, "error": str(error)})
        try:
            outcome = await self._attempt(job, session, other, alone=True)
        except WorkerLost as error:
            await self._blame(job, error)
            raise TranscodeError("TranscoderStopped", detail=str(error)) from error
        if len(self._poison):
            self._poison.acquit(await self._files.run(_digest, job))
        return outcome

    async def _attempt(self, job: TranscodeJob, session: _Session, lane: DeviceLane, *, alone: bool) -> Outcome:
        outcome = await lane.attempt(job, weight=session.pixels_per_s or 1.0, alone=alone)
        pixels = sum(rendition.pixels for rendition in outcome.result.renditions)
        media_s = job.duration_ms / 1000
        self._admission.measured(job.session, lane.id, outcome.usage, media_s=media_s, pixels=pixels)
        return outcome

    async def _blame(self, job: TranscodeJob, error: WorkerLost) -> None:
        """Remember a segment under which a process went away, unless it went because we are leaving."""
        if self._closing or isinstance(error, WorkerAbsent):
            return
        strikes = self._poison.strike(await self._files.run(_digest, job))
        log.warning("segment.suspected", extra={"sequence": job.sequence, "losses": strikes, "error": str(error)})


def _digest(job: TranscodeJob) -> bytes:
    data = job.source if isinstance(job.source, bytes) else job.source.read_bytes()
    return hashlib.sha256(data).digest()
