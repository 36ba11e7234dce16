"""What the orchestrator's side asks of other rooms."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from livefleet.ai import AdvertisedModel, ImageResult, TextToImageRequest
from livefleet.kernel import SessionId
from livefleet.media import Profile, TranscodeJob, TranscodeResult
from livefleet.wire.capabilities import Capabilities

__all__ = ["Ai", "CapableTranscoder", "Place"]


class Place(Protocol):
    """A model's place for one request, held while its block lasts (`livefleet.ai.Reservation`)."""

    async def text_to_image(self, request: TextToImageRequest) -> Sequence[ImageResult]:
        """Make the images. Raises Refused with the protocol's text and status."""
        ...


class Ai(Protocol):
    """The models that this node serves (`livefleet.ai.AiPool`)."""

    def advertised(self) -> Sequence[AdvertisedModel]:
        """What can be asked for now."""
        ...

    def reserve(self, model_id: str) -> AbstractContextManager[Place]:
        """Hold a place for one request. Raises Refused (503 `insufficient capacity`)."""
        ...


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
