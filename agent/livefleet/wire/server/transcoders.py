"""Local devices and joined workers as one transcoder."""

import asyncio
import logging
import time
from collections.abc import Sequence

from livefleet.kernel import SessionId
from livefleet.media import Profile, TranscodeError, TranscodeJob, TranscodeResult, segment_deadline_s
from livefleet.wire.capabilities import Capabilities, needs_of
from livefleet.wire.input_errors import is_input_error
from livefleet.wire.server.worker_pool import WorkerPool
from livefleet.wire.transcoding import LocalTranscoding
from livefleet.wire.work_stats import SegmentStats

__all__ = ["Transcoders"]

log = logging.getLogger(__name__)


class Transcoders:
    """Sessions go to the local devices until those are full, then to workers; a session stays where it began.

    It moves where one side cannot go on with it: the local devices are being emptied, or either side fails with a
    segment that is not itself at fault, which is then tried on the other, within the time that gateways give it.

    Either may be missing. `local_capacity` is the number of sessions that the local devices take.
    """

    def __init__(
        self,
        *,
        local: LocalTranscoding | None = None,
        local_capacity: int = 0,
        pool: WorkerPool | None = None,
        stats: SegmentStats | None = None,
    ) -> None:
        self._local = local
        self.local_capacity = local_capacity
        """Sessions that the local devices get beside workers, at most."""
        self._pool = pool
        self._stats = stats or SegmentStats()
        self._local_sessions: set[SessionId] = set()
        self._with_local: tuple[Capabilities, frozenset[int], Capabilities] | None = None  # the last that was offered
        self.local_is_closed = False
        """Whether sessions must leave the local devices, also where no worker has room for them."""

    @property
    def local_sessions(self) -> int:
        """Sessions that the local devices work for."""
        return len(self._local_sessions)

    def offered(self, base: Capabilities) -> Capabilities:
        """`base` with what the local devices and the workers can do now."""
        if self._local is not None:
            ids = frozenset(self._local.capability_ids)
            if self._with_local is None or self._with_local[:2] != (base, ids):
                self._with_local = base, ids, base.with_worker(Capabilities.of(ids))
            base = self._with_local[2]
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
        if self._pool is None:
            return self._local is None
        return self._pool.has_room or self._pool.awaits(session)

    def awaits(self, session: SessionId) -> bool:
        """Whether the session's worker has left a moment ago, so that what it needs may be offered again soon."""
        return self._pool is not None and self._pool.awaits(session)

    async def transcode(self, job: TranscodeJob, needs: Capabilities | None = None) -> TranscodeResult:
        """Do the job here or at a worker. Raises TranscodeError."""
        wanted = needs_of(job, needs)
        if self.local_is_closed and self._pool is None:
            raise TranscodeError("TranscoderStopped", detail="the devices here are emptied")
        if self._local is not None and self._goes_local(self._local, job, wanted):
            return await self._locally_else_at_a_worker(self._local, job, wanted)
        if self._pool is not None:
            return await self._at_a_worker_else_locally(self._pool, job, wanted)
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

    async def _locally_else_at_a_worker(
        self, local: LocalTranscoding, job: TranscodeJob, needs: Capabilities
    ) -> TranscodeResult:
        self._local_sessions.add(job.session)
        started = time.monotonic()
        try:
            done = await local.transcode(job)
        except TranscodeError as error:
            left_s = segment_deadline_s(job.duration_ms) - (time.monotonic() - started)
            if is_input_error(error.text) or self._pool is None or left_s <= 0 or not self._pool.takes_over(needs):
                raise
            log.warning("segment.moved_to_a_worker", extra={"sequence": job.sequence, "error": str(error)})
            await self._leave_local(local, job.session)
            try:
                return await self._pool.transcode(job, needs, within_s=left_s)
            except TranscodeError:
                raise error from None
        self._stats.transcoded(job.profiles, job.duration_ms, time.monotonic() - started)
        return done

    async def _at_a_worker_else_locally(
        self, pool: WorkerPool, job: TranscodeJob, needs: Capabilities
    ) -> TranscodeResult:
        started = time.monotonic()
        try:
            return await pool.transcode(job, needs)
        except TranscodeError as error:
            local = self._local
            left_s = segment_deadline_s(job.duration_ms) - (time.monotonic() - started)
            if is_input_error(error.text) or local is None or left_s <= 0 or not self._local_takes(local, job, needs):
                raise
            log.warning("segment.moved_to_local_devices", extra={"sequence": job.sequence, "error": str(error)})
            self._local_sessions.add(job.session)
            try:
                async with asyncio.timeout(left_s):
                    return await local.transcode(job)
            except (TranscodeError, TimeoutError):
                raise error from None

    async def _leave_local(self, local: LocalTranscoding, session: SessionId) -> None:
        self._local_sessions.discard(session)
        await local.end_session(session)

    def _goes_local(self, local: LocalTranscoding, job: TranscodeJob, needs: Capabilities) -> bool:
        if self._pool is None:
            return True  # the devices' own answer says best what is wrong
        if job.session in self._local_sessions:
            return not (self.local_is_closed or (local.is_emptied and self._pool.takes_over(needs)))
        return not self._pool.has_session(job.session) and self._local_takes(local, job, needs)

    def _local_takes(self, local: LocalTranscoding, job: TranscodeJob, needs: Capabilities) -> bool:
        if self.local_is_closed or len(self._local_sessions) >= self.local_capacity:
            return False
        is_able = Capabilities.of(local.capability_ids).transcodes(needs)
        return is_able and local.open_session(job.session, job.profiles)
