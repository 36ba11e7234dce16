"""What both sides of the worker split ask of this machine's own devices."""

from collections.abc import Sequence
from typing import Protocol

from livefleet.kernel import SessionId
from livefleet.media import Profile, TranscodeJob, TranscodeResult

__all__ = ["LocalTranscoding"]


class LocalTranscoding(Protocol):
    """Local devices as a transcoder (`livefleet.media.LocalTranscoder`)."""

    @property
    def capability_ids(self) -> frozenset[int]:
        """What the ready devices can do; empty while none is ready."""
        ...

    @property
    def is_emptied(self) -> bool:
        """Whether every device is to be emptied: sessions are to go elsewhere where they can."""
        ...

    def has_room(self, profiles: Sequence[Profile] = ()) -> bool:
        """Whether a new session with these profiles would be taken; without any, one like those that are open."""
        ...

    def open_session(self, session: SessionId, profiles: Sequence[Profile]) -> bool:
        """Take a session in before its first segment; whether it is in now."""
        ...

    async def transcode(self, job: TranscodeJob) -> TranscodeResult:
        """Do the job. Raises TranscodeError; cancellation gives the job up."""
        ...

    async def end_session(self, session: SessionId) -> None:
        """Let go of what is kept for a session. Unknown sessions are fine."""
        ...
