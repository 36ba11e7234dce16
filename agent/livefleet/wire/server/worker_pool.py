"""Workers that joined over the network, as one transcoder.

A task is finished by whoever uploads its result first: a worker that loses its stream may still be uploading while
the segment is already with another.
"""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from livefleet.kernel import Clock, SessionId
from livefleet.media import TranscodeError, TranscodeJob, TranscodeResult
from livefleet.wire.auth import AuthToken
from livefleet.wire.capabilities import Capabilities, needs_of
from livefleet.wire.messages import SessionEnd, WorkerTask
from livefleet.wire.segment import SegmentCredentials
from livefleet.wire.server.stream_store import StreamStore

__all__ = ["RemoteWorker", "WorkerPool", "WorkerSnapshot"]

log = logging.getLogger(__name__)

_LEAST_WAIT_S = 8.0
_WAIT_PER_DURATION = 4


@dataclass(eq=False, slots=True)
class RemoteWorker:
    """One open RegisterTranscoder stream."""

    capabilities: Capabilities
    capacity: int  # sessions
    peer: str
    since: float  # unix seconds
    gone: asyncio.Future[None]
    outbox: asyncio.Queue[WorkerTask | SessionEnd | None] = field(default_factory=asyncio.Queue)
    sessions: set[SessionId] = field(default_factory=set)

    @property
    def load(self) -> float:
        """Share of its capacity in use."""
        return len(self.sessions) / self.capacity

    def send(self, task: WorkerTask | SessionEnd) -> None:
        """Queue for the stream."""
        self.outbox.put_nowait(task)


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """A worker as /status shows it."""

    peer: str
    capacity: int
    sessions: int
    since: float
    version: str


@dataclass(slots=True)
class _Task:
    outcome: asyncio.Future[TranscodeResult]
    renditions: int


class WorkerPool:
    """Chooses workers by session, sends tasks down their streams and takes results. Lives on one event loop."""

    def __init__(
        self,
        *,
        secret: str,
        store: StreamStore,
        clock: Clock,
        least_wait_s: float = _LEAST_WAIT_S,
    ) -> None:
        if not secret:
            raise ValueError("workers are not taken without a secret")
        self.secret = secret
        self._store = store
        self._clock = clock
        self._least_wait_s = least_wait_s
        self._workers: list[RemoteWorker] = []
        self._by_session: dict[SessionId, RemoteWorker] = {}
        self._tasks: dict[int, _Task] = {}
        self._ids = itertools.count()
        self._joined: asyncio.Future[None] | None = None
        self._closed = False

    # The stream's side

    def join(self, capabilities: Capabilities, capacity: int, peer: str) -> RemoteWorker:
        """Take a worker in."""
        worker = RemoteWorker(
            capabilities, capacity, peer, self._clock.now(), asyncio.get_running_loop().create_future()
        )
        self._workers.append(worker)
        if self._joined is not None and not self._joined.done():
            self._joined.set_result(None)
        if self._closed:
            worker.outbox.put_nowait(None)
        log.info("worker.joined", extra={"peer": peer, "capacity": capacity, "workers": len(self._workers)})
        return worker

    def leave(self, worker: RemoteWorker) -> None:
        """Its stream ended, or it is no longer trusted with work: end the stream."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        for session in worker.sessions:
            self._by_session.pop(session, None)
        worker.sessions.clear()
        worker.outbox.put_nowait(None)
        if not worker.gone.done():
            worker.gone.set_result(None)
        log.info("worker.left", extra={"peer": worker.peer, "workers": len(self._workers)})

    def close(self) -> None:
        """End all streams, now and later; running tasks may still be uploaded."""
        self._closed = True
        for worker in self._workers:
            worker.outbox.put_nowait(None)

    # What the node tells about it

    def offered(self, base: Capabilities) -> Capabilities:
        """`base` with every worker's capabilities on top."""
        for worker in self._workers:
            base = base.with_worker(worker.capabilities)
        return base

    def snapshot(self) -> tuple[WorkerSnapshot, ...]:
        """Every worker, oldest first."""
        return tuple(
            WorkerSnapshot(w.peer, w.capacity, len(w.sessions), w.since, w.capabilities.version) for w in self._workers
        )

    # The upload's side

    def expects(self, task_id: int) -> int | None:
        """How many renditions a task wants; None for unknown and finished ones."""
        task = self._tasks.get(task_id)
        return None if task is None or task.outcome.done() else task.renditions

    def finish(self, task_id: int, result: TranscodeResult) -> None:
        """A result came in. Unknown and finished tasks are ignored."""
        task = self._tasks.get(task_id)
        if task is not None and not task.outcome.done():
            task.outcome.set_result(result)

    def fail(self, task_id: int, text: str) -> None:
        """A worker says that it could not do it."""
        task = self._tasks.get(task_id)
        if task is not None and not task.outcome.done():
            task.outcome.set_exception(TranscodeError(text))

    # The transcoder's side

    @property
    def has_room(self) -> bool:
        """Whether some worker takes another session; true also while none has joined."""
        return not self._workers or any(len(worker.sessions) < worker.capacity for worker in self._workers)

    def has_session(self, session: SessionId) -> bool:
        """Whether a worker works for it."""
        return session in self._by_session

    async def transcode(self, job: TranscodeJob, needs: Capabilities | None = None) -> TranscodeResult:
        """Have the session's worker do it. Raises TranscodeError.

        A lost worker's segment is tried elsewhere; one that takes longer than max(8 s, 4 durations) is not.
        """
        source = await asyncio.to_thread(job.source.read_bytes) if isinstance(job.source, Path) else job.source
        wanted = needs_of(job, needs)
        name = f"{job.sequence}.tempfile"
        url = self._store.put(job.session, "", name, source)
        outcome: asyncio.Future[TranscodeResult] = asyncio.get_running_loop().create_future()
        ids: list[int] = []
        wait_s = max(self._least_wait_s, _WAIT_PER_DURATION * job.duration_ms / 1000)
        try:
            async with asyncio.timeout(wait_s):
                return await self._until_done(job, wanted, url, outcome, ids)
        except TimeoutError:
            if (worker := self._by_session.get(job.session)) is not None:
                self.leave(worker)
            raise TranscodeError("Remote transcoder took too long") from None
        except TranscodeError:
            self._release(job.session)
            raise
        finally:
            for task_id in ids:
                del self._tasks[task_id]
            self._store.discard(job.session, "", name)

    async def end_session(self, session: SessionId) -> None:
        """Give the worker's slot back and tell it."""
        worker = self._release(session)
        if worker is not None:
            worker.send(SessionEnd(session))

    async def _until_done(
        self,
        job: TranscodeJob,
        needs: Capabilities,
        url: str,
        outcome: asyncio.Future[TranscodeResult],
        ids: list[int],
    ) -> TranscodeResult:
        worker = self._choose(job.session, needs)
        while True:
            task_id = next(self._ids)
            ids.append(task_id)
            self._tasks[task_id] = _Task(outcome, len(job.profiles))
            worker.send(self._task(task_id, url, job, needs))
            await _first((outcome, worker.gone))
            if outcome.done():
                return outcome.result()
            log.warning("worker.lost_with_segment", extra={"peer": worker.peer, "sequence": job.sequence})
            replacement = await self._replacement(job.session, needs, outcome)
            if replacement is None:
                return outcome.result()
            worker = replacement

    async def _replacement(
        self, session: SessionId, needs: Capabilities, outcome: asyncio.Future[TranscodeResult]
    ) -> RemoteWorker | None:
        """Another worker, at once or when one joins; None when the lost one's result came in first."""
        while not outcome.done():
            try:
                return self._choose(session, needs)
            except TranscodeError:
                if self._joined is None or self._joined.done():
                    self._joined = asyncio.get_running_loop().create_future()
                await _first((outcome, self._joined))
        return None

    def _choose(self, session: SessionId, needs: Capabilities) -> RemoteWorker:
        """The session's worker, else the least loaded one that can. Raises TranscodeError."""
        if (worker := self._by_session.get(session)) is not None:
            return worker
        if not self._workers:
            raise TranscodeError("no transcoders available")
        able = [worker for worker in self._workers if worker.capabilities.transcodes(needs)]
        if not able:
            raise TranscodeError("no transcoders can provide requested capabilities")
        chosen = min(able, key=lambda worker: worker.load)
        if len(chosen.sessions) >= chosen.capacity:
            raise TranscodeError("no transcoders available")
        chosen.sessions.add(session)
        self._by_session[session] = chosen
        return chosen

    def _release(self, session: SessionId) -> RemoteWorker | None:
        worker = self._by_session.pop(session, None)
        if worker is not None:
            worker.sessions.discard(session)
        return worker

    def _task(self, task_id: int, url: str, job: TranscodeJob, needs: Capabilities) -> WorkerTask:
        return WorkerTask(
            task_id=task_id,
            url=url,
            orchestrator_id=job.orchestrator_id,
            credentials=SegmentCredentials(
                manifest_id=job.session.encode(),
                sequence=job.sequence,
                profiles=job.profiles,
                duration_ms=job.duration_ms,
                capabilities=needs,
                auth_token=AuthToken(b"", job.session, 0),
                clip_from_ms=job.clip_from_ms,
                clip_to_ms=job.clip_to_ms,
            ),
        )


async def _first(futures: Sequence[asyncio.Future[TranscodeResult] | asyncio.Future[None]]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
