"""What both sides of the worker split ask of this machine's own devices."""

from typing import Protocol

from livefleet.kernel import SessionId
from livefleet.media import TranscodeJob, TranscodeResult

__all__ = ["LocalTranscoding"]


class LocalTranscoding(Protocol):
    """Local devices as a transcoder (`livefleet.media.LocalTranscoder`)."""

    @property
    def capability_ids(self) -> frozenset[int]:
        """What the ready devices can do; empty while none is ready."""
        ...

    async def transcode(self, job: TranscodeJob) -> TranscodeResult:
        """Do the job. Raises TranscodeError; cancellation gives the job up."""
        ...

    async def end_session(self, session: SessionId) -> None:
        """Let go of what is kept for a session. Unknown sessions are fine."""
        ...
