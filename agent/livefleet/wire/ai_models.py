"""What both sides of the worker split ask of AI models, wherever those run."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from livefleet.ai import AdvertisedModel, AiJob, AiResult
from livefleet.spec import Pipeline

__all__ = ["Ai", "Place"]


class Place(Protocol):
    """A model's place for one request, held while its block lasts (`livefleet.ai.Reservation`)."""

    async def run(self, job: AiJob) -> AiResult:
        """Do it. Raises Refused with the protocol's text and status."""
        ...

    def stream(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer chunk by chunk; closing it stops the work. Raises as `run`, before a chunk or between two."""
        ...


class Ai(Protocol):
    """Models that can be asked for work (`livefleet.ai.AiPool`)."""

    def advertised(self) -> Sequence[AdvertisedModel]:
        """What can be asked for now."""
        ...

    def reserve(self, pipeline: Pipeline, model_id: str) -> AbstractContextManager[Place]:
        """Hold a place for one request. Raises NoCapacity (503 `insufficient capacity`)."""
        ...
