"""Local devices and joined workers as one transcoder."""

from livefleet.kernel import SessionId
from livefleet.media import TranscodeError, TranscodeJob, TranscodeResult
from livefleet.wire.capabilities import Capabilities, needs_of
from livefleet.wire.server.worker_pool import WorkerPool
from livefleet.wire.transcoding import LocalTranscoding

__all__ = ["Transcoders"]


class Transcoders:
    """Sessions go to the local devices until those are full, then to workers; a session stays where it began.

    Either may be missing. `local_capacity` is the number of sessions that the local devices take.
    """

    def __init__(
        self, *, local: LocalTranscoding | None = None, local_capacity: int = 0, pool: WorkerPool | None = None
    ) -> None:
        self._local = local
        self._local_capacity = local_capacity
        self._pool = pool
        self._local_sessions: set[SessionId] = set()

    @property
    def local_sessions(self) -> int:
        """Sessions that the local devices work for."""
        return len(self._local_sessions)

    def offered(self, base: Capabilities) -> Capabilities:
        """`base` with what the local devices and the workers can do now."""
        if self._local is not None:
            base = base.with_worker(Capabilities.of(self._local.capability_ids))
        return base if self._pool is None else self._pool.offered(base)

    async def transcode(self, job: TranscodeJob, needs: Capabilities | None = None) -> TranscodeResult:
        """Do the job here or at a worker. Raises TranscodeError."""
        wanted = needs_of(job, needs)
        if self._local is not None and self._goes_local(self._local, job.session, wanted):
            self._local_sessions.add(job.session)
            return await self._local.transcode(job)
        if self._pool is not None:
            return await self._pool.transcode(job, wanted)
        raise TranscodeError(
            "ErrTranscoderUnavailable", detail="the devices here cannot do it and no workers are taken"
        )

    async def end_session(self, session: SessionId) -> None:
        """Tell whoever had it."""
        if session in self._local_sessions and self._local is not None:
            self._local_sessions.discard(session)
            await self._local.end_session(session)
        if self._pool is not None:
            await self._pool.end_session(session)

    def _goes_local(self, local: LocalTranscoding, session: SessionId, needs: Capabilities) -> bool:
        if session in self._local_sessions:
            return True
        if self._pool is None:
            return True  # the devices' own answer says best what is wrong
        if self._pool.has_session(session):
            return False
        room = len(self._local_sessions) < self._local_capacity
        return room and Capabilities.of(local.capability_ids).transcodes(needs)
