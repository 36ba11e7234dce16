"""What both sides of the worker split ask of AI models, wherever those run."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from livefleet.ai import AdvertisedModel, ImageResult, TextToImageRequest

__all__ = ["Ai", "Place"]


class Place(Protocol):
    """A model's place for one request, held while its block lasts (`livefleet.ai.Reservation`)."""

    async def text_to_image(self, request: TextToImageRequest) -> Sequence[ImageResult]:
        """Make the images. Raises Refused with the protocol's text and status."""
        ...


class Ai(Protocol):
    """Models that can be asked for work (`livefleet.ai.AiPool`)."""

    def advertised(self) -> Sequence[AdvertisedModel]:
        """What can be asked for now."""
        ...

    def reserve(self, model_id: str) -> AbstractContextManager[Place]:
        """Hold a place for one request. Raises NoCapacity (503 `insufficient capacity`)."""
        ...
