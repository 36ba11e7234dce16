"""AI models: declared, loaded in processes of their own, watched, and asked for images."""

from livefleet.ai.advertising import MODEL_WARM
from livefleet.ai.catalogue import MODEL_PLACED, Catalogue, Placement, Unplaced, place, placement_conditions
from livefleet.ai.errors import BadRequest, NoCapacity, RunnerHung, RunnerRefused
from livefleet.ai.models import AdvertisedModel, ImageResult, TextToImageRequest, parse_text_to_image
from livefleet.ai.pool import AiPool, Reservation
from livefleet.ai.settings import RUNNER_VERSION
from livefleet.ai.watch import WatchLimits

__all__ = [
    "MODEL_PLACED",
    "MODEL_WARM",
    "RUNNER_VERSION",
    "AdvertisedModel",
    "AiPool",
    "BadRequest",
    "Catalogue",
    "ImageResult",
    "NoCapacity",
    "Placement",
    "Reservation",
    "RunnerHung",
    "RunnerRefused",
    "TextToImageRequest",
    "Unplaced",
    "WatchLimits",
    "parse_text_to_image",
    "place",
    "placement_conditions",
]
