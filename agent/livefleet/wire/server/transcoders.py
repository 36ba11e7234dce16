"""Local devices and joined workers as one transcoder."""

from collections.abc import Sequence

from livefleet.kernel import SessionId
from livefleet.media import Profile, TranscodeError, TranscodeJob, TranscodeResult
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

    def has_room(self, profiles: Sequence[Profile] = ()) -> bool:
        """Whether a new session would be taken. A node that transcodes nothing is never full."""
        if self._local is None and self._pool is None:
            return True
        if self._local is not None and self._local.has_room(profiles):
            return True
        return self._pool is not None and self._pool.has_room

    def open_session(self, session: SessionId, profiles: Sequence[Profile]) -> bool:
        """Take a session in before its first segment, so that no other gets its place meanwhile."""
        if self._pool is not None and self._pool.has_session(session):
            return True
        if self._local is not None and self._local.open_session(session, profiles):
            return True
        return (self._local is None and self._pool is None) or (self._pool is not None and self._pool.has_room)

    async def transcode(self, job: TranscodeJob, needs: Capabilities | None = None) -> TranscodeResult:
        """Do the job here or at a worker. Raises TranscodeError."""
        wanted = needs_of(job, needs)
        if self._local is not None and self._goes_local(self._local, job, wanted):
            self._local_sessions.add(job.session)
            return await self._local.transcode(job)
        if self._pool is not None:
            return await self._pool.transcode(job, wanted)
        raise TranscodeError(
            "ErrTranscoderUnavailable", detail="the devices here cannot do it and no workers are taken"
        )

    async def end_session(self, session: SessionId) -> None:
        """Tell whoever had it."""
        self._local_sessions.discard(session)
        if self._local is not None:
            await self._local.end_session(session)
        if self._pool is not None:
            await self._pool.end_session(session)

    def _goes_local(self, local: LocalTranscoding, job: TranscodeJob, needs: Capabilities) -> bool:
        if job.session in self._local_sessions:
            return True
        if self._pool is None:
            return True  # the devices' own answer says best what is wrong
        if self._pool.has_session(job.session) or len(self._local_sessions) >= self._local_capacity:
            return False
        is_able = Capabilities.of(local.capability_ids).transcodes(needs)
        return is_able and local.open_session(job.session, job.profiles)
