"""AI models: declared, loaded in processes of their own, watched, and asked for work."""

from livefleet.ai.advertising import MODEL_WARM, AdvertisedModel
from livefleet.ai.catalogue import MODEL_PLACED, Catalogue, Placement, Unplaced, place, placement_conditions
from livefleet.ai.errors import BadRequest, NoCapacity, RunnerHung, RunnerRefused
from livefleet.ai.forms import BadForm, read_fields
from livefleet.ai.jobs import AiJob, AiResult, Media
from livefleet.ai.kinds import Kind
from livefleet.ai.parsing import json_object, parse_job
from livefleet.ai.pipelines import SERVED, kind_of
from livefleet.ai.pool import AiPool, Reservation
from livefleet.ai.settings import RUNNER_VERSION
from livefleet.ai.watch import WatchLimits

__all__ = [
    "MODEL_PLACED",
    "MODEL_WARM",
    "RUNNER_VERSION",
    "SERVED",
    "AdvertisedModel",
    "AiJob",
    "AiPool",
    "AiResult",
    "BadForm",
    "BadRequest",
    "Catalogue",
    "Kind",
    "Media",
    "NoCapacity",
    "Placement",
    "Reservation",
    "RunnerHung",
    "RunnerRefused",
    "Unplaced",
    "WatchLimits",
    "json_object",
    "kind_of",
    "parse_job",
    "place",
    "placement_conditions",
    "read_fields",
]
