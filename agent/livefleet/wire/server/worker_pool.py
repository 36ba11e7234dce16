"""Workers that joined over the network, as one transcoder.

A task is finished by whoever uploads its result first: a worker that loses its stream may still be uploading while
the segment is already with another (worker_tries.py).
"""

import asyncio
import itertools
import logging
from collections.abc import Collection
from pathlib import Path

from livefleet.kernel import Clock, SessionId
from livefleet.media import TranscodeError, TranscodeJob, TranscodeResult
from livefleet.wire.auth import AuthToken
from livefleet.wire.capabilities import Capabilities, needs_of
from livefleet.wire.messages import SessionEnd, WorkerTask
from livefleet.wire.segment import SegmentCredentials
from livefleet.wire.server.remote_worker import RemoteWorker, WorkerSnapshot
from livefleet.wire.server.stream_store import StreamStore
from livefleet.wire.server.worker_gate import SecretAge, WorkerGate
from livefleet.wire.server.worker_tries import Attempt, SegmentTries

__all__ = ["RemoteWorker", "WorkerPool", "WorkerSnapshot"]

log = logging.getLogger(__name__)

_LEAST_WAIT_S = 8.0
_WAIT_PER_DURATION = 4
_PATIENCE = 0.5  # of that time: then another worker gets the segment as well
_RETURN_S = 10.0  # a worker whose service is restarted is back by then


class WorkerPool:
    """Chooses workers by session, sends tasks down their streams and takes results. Lives on one event loop."""

    def __init__(
        self,
        *,
        gate: WorkerGate,
        store: StreamStore,
        clock: Clock,
        least_wait_s: float = _LEAST_WAIT_S,
    ) -> None:
        self.gate = gate
        """Judges what workers show."""
        gate.watch(self)
        self._store = store
        self._clock = clock
        self._least_wait_s = least_wait_s
        self._workers: list[RemoteWorker] = []
        self._by_session: dict[SessionId, RemoteWorker] = {}
        self._tasks: dict[int, Attempt] = {}
        self._orphans: dict[SessionId, float] = {}  # sessions whose worker left: monotonic time of that
        self._ids = itertools.count()
        self._changed: asyncio.Future[None] | None = None
        self._closed = False
        self.retries = 0
        """Segments sent to another worker after theirs was lost."""

    # The stream's side

    def join(self, capabilities: Capabilities, capacity: int, peer: str, shown: bytes = b"") -> RemoteWorker:
        """Take a worker in; `shown` is the secret that it came with."""
        worker = RemoteWorker(
            capabilities, capacity, peer, self._clock.now(), asyncio.get_running_loop().create_future(), shown
        )
        self._workers.append(worker)
        self._tell_change()
        if self._closed:
            worker.outbox.put_nowait(None)
        log.info("worker.joined", extra={"peer": peer, "capacity": capacity, "workers": len(self._workers)})
        return worker

    def leave(self, worker: RemoteWorker) -> None:
        """Its stream ended, or it is no longer trusted with work: end the stream."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        now = self._clock.monotonic()
        self._orphans = {s: at for s, at in self._orphans.items() if now - at < _RETURN_S}
        for session in worker.sessions:
            self._by_session.pop(session, None)
            self._orphans[session] = now
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
            WorkerSnapshot(
                w.peer,
                w.capacity,
                len(w.sessions),
                w.since,
                w.capabilities.version,
                self.gate.age_of(w.shown) or SecretAge.FORMER,
            )
            for w in self._workers
        )

    # The gate's side

    def shown(self) -> list[tuple[str, bytes]]:
        """Peer and last shown secret of each worker."""
        return [(worker.peer, worker.shown) for worker in self._workers]

    def turn_out(self, shown: Collection[bytes]) -> None:
        """End the streams of those that showed one of these."""
        for worker in [worker for worker in self._workers if worker.shown in shown]:
            self.leave(worker)

    # The upload's side

    def showed(self, task_id: int, secret: bytes) -> None:
        """The worker that has this task has just shown a secret that is taken."""
        if (task := self._tasks.get(task_id)) is not None:
            task.worker.shown = secret

    def expects(self, task_id: int) -> int | None:
        """How many renditions a task wants; None for unknown and finished ones."""
        task = self._tasks.get(task_id)
        return None if task is None or task.outcome.done() else task.renditions

    def finish(self, task_id: int, result: TranscodeResult) -> None:
        """A result came in. Unknown and finished tasks are ignored."""
        task = self._heard_of(task_id)
        if task is not None and not task.outcome.done():
            task.outcome.set_result(result)

    def fail(self, task_id: int, text: str) -> None:
        """A worker says that it could not do it."""
        task = self._heard_of(task_id)
        if task is not None and not task.failure.done():
            task.failure.set_result(text)

    # The transcoder's side

    @property
    def has_room(self) -> bool:
        """Whether some worker takes another session; true also while none has joined."""
        return not self._workers or any(worker.has_room for worker in self._workers)

    def has_session(self, session: SessionId) -> bool:
        """Whether a worker works for it."""
        return session in self._by_session

    def awaits(self, session: SessionId) -> bool:
        """Whether the session lost its worker a moment ago, so that its next segment waits for one to take it over."""
        lost_at = self._orphans.get(session)
        return lost_at is not None and self._clock.monotonic() - lost_at < _RETURN_S

    def takes_over(self, needs: Capabilities) -> bool:
        """Whether some worker can do with these needs, and has room for another session."""
        return any(worker.has_room and worker.capabilities.transcodes(needs) for worker in self._workers)

    async def transcode(
        self, job: TranscodeJob, needs: Capabilities | None = None, *, within_s: float | None = None
    ) -> TranscodeResult:
        """Have the session's worker do it, or another (worker_tries.py), within max(8 s, 4 durations) by default.

        Raises TranscodeError.
        """
        name = f"{job.sequence}.tempfile"
        url = job.source_url or self._store.put(job.session, "", name, await _bytes_of(job.source))
        outcome: asyncio.Future[TranscodeResult] = asyncio.get_running_loop().create_future()
        crew = _Crew(self, job, needs_of(job, needs), url, outcome)
        tries = SegmentTries(crew, job.session, job.sequence, outcome)
        wait_s = within_s or max(self._least_wait_s, _WAIT_PER_DURATION * job.duration_ms / 1000)
        try:
            async with asyncio.timeout(wait_s):
                return await tries.run(patience_s=wait_s * _PATIENCE)
        except TimeoutError:
            for worker in tries.unheard:
                self.leave(worker)
            raise TranscodeError("Remote transcoder took too long") from None
        except TranscodeError:
            self.release(job.session)
            raise
        finally:
            self.retries += max(0, tries.sent - 1)
            for task_id in crew.task_ids:
                del self._tasks[task_id]
            self._store.discard(job.session, "", name)

    async def end_session(self, session: SessionId) -> None:
        """Give the worker's slot back and tell it."""
        worker = self.release(session)
        if worker is not None:
            worker.send(SessionEnd(session))

    def choose(
        self, session: SessionId, needs: Capabilities, *, without: Collection[RemoteWorker] = ()
    ) -> RemoteWorker:
        """The session's worker, else the least loaded one that can. Raises TranscodeError."""
        now = self._clock.monotonic()
        for worker in [w for w in self._workers if w.overdue_since is not None]:
            if now - (worker.overdue_since or now) > self._least_wait_s:
                self.leave(worker)  # it hangs; if it does not, it joins again
        mine = self._by_session.get(session)
        if mine is not None and mine not in without:
            return mine
        if not self._workers:
            raise TranscodeError("no transcoders available")
        able = [worker for worker in self._workers if worker.capabilities.transcodes(needs)]
        if not able:
            raise TranscodeError("no transcoders can provide requested capabilities")
        free = [worker for worker in able if worker.has_room and worker not in without]
        if not free:
            raise TranscodeError("no transcoders available")
        chosen = min(free, key=lambda worker: (worker.overdue_since is not None, worker.load))
        self.release(session)
        chosen.sessions.add(session)
        self._by_session[session] = chosen
        return chosen

    def release(self, session: SessionId) -> RemoteWorker | None:
        """Take a session off its worker; who that was."""
        self._orphans.pop(session, None)
        worker = self._by_session.pop(session, None)
        if worker is not None:
            worker.sessions.discard(session)
            self._tell_change()
        return worker

    def suspect(self, worker: RemoteWorker) -> None:
        """Too slow with a segment: until it is heard of it gets new sessions only where nobody else can take them."""
        if worker.overdue_since is None:
            worker.overdue_since = self._clock.monotonic()

    def changed(self) -> asyncio.Future[None]:
        """Done when a worker has joined, or has more room."""
        if self._changed is None or self._changed.done():
            self._changed = asyncio.get_running_loop().create_future()
        return self._changed

    def give(
        self,
        worker: RemoteWorker,
        job: TranscodeJob,
        needs: Capabilities,
        url: str,
        outcome: asyncio.Future[TranscodeResult],
    ) -> tuple[int, Attempt]:
        """Send a task down the worker's stream; its id, and what becomes of it."""
        task_id = next(self._ids)
        failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        attempt = self._tasks[task_id] = Attempt(worker, outcome, failure, len(job.profiles))
        worker.send(_task(task_id, url, job, needs))
        return task_id, attempt

    def _heard_of(self, task_id: int) -> Attempt | None:
        task = self._tasks.get(task_id)
        if task is not None:
            task.worker.overdue_since = None
        return task

    def _tell_change(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


class _Crew:
    """The pool, for one segment."""

    def __init__(
        self,
        pool: WorkerPool,
        job: TranscodeJob,
        needs: Capabilities,
        url: str,
        outcome: asyncio.Future[TranscodeResult],
    ) -> None:
        self._pool = pool
        self._job = job
        self._needs = needs
        self._url = url
        self._outcome = outcome
        self.task_ids: list[int] = []
        self.suspect = pool.suspect
        self.release = pool.release
        self.changed = pool.changed
        self.awaits = pool.awaits

    def choose(self, session: SessionId, *, without: Collection[RemoteWorker] = ()) -> RemoteWorker:
        return self._pool.choose(session, self._needs, without=without)

    def give(self, worker: RemoteWorker) -> Attempt:
        task_id, attempt = self._pool.give(worker, self._job, self._needs, self._url, self._outcome)
        self.task_ids.append(task_id)
        return attempt


async def _bytes_of(source: bytes | Path) -> bytes:
    return await asyncio.to_thread(source.read_bytes) if isinstance(source, Path) else source


def _task(task_id: int, url: str, job: TranscodeJob, needs: Capabilities) -> WorkerTask:
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
            calc_perceptual_hash=job.calc_perceptual_hash,
            force_session_reinit=job.force_reinit,
        ),
    )
