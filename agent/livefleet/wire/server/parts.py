"""What the orchestrator's side asks of other rooms."""

from collections.abc import Sequence
from typing import Protocol

from livefleet.kernel import SessionId
from livefleet.media import Profile, TranscodeJob, TranscodeResult
from livefleet.wire.capabilities import Capabilities

__all__ = ["CapableTranscoder"]


class CapableTranscoder(Protocol):
    """A transcoder that can be told what a job needs beyond its profiles (an HEVC source, say)."""

    def open_session(self, session: SessionId, profiles: Sequence[Profile]) -> bool:
        """Take a session in before its first segment; whether there is a place for it."""
        ...

    async def transcode(self, job: TranscodeJob, needs: Capabilities | None = None) -> TranscodeResult:
        """Do the job. Raises TranscodeError; cancellation gives the job up."""
        ...

    async def end_session(self, session: SessionId) -> None:
        """Let go of what is kept for a session. Unknown sessions are fine."""
        ...
