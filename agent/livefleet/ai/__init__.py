"""AI models: declared, loaded in processes of their own, watched, and asked for work."""

from livefleet.ai.advertising import MODEL_WARM, AdvertisedModel
from livefleet.ai.catalogue import MODEL_PLACED, Catalogue, Placement, Unplaced, place, placement_conditions
from livefleet.ai.errors import BadRequest, Malformed, NoCapacity, RunnerHung, RunnerRefused, SourceMissing
from livefleet.ai.forms import BadForm, read_fields
from livefleet.ai.jobs import AiJob, AiResult, Media
from livefleet.ai.json_text import json_pieces, rendered
from livefleet.ai.kinds import Kind
from livefleet.ai.launch import settings_of
from livefleet.ai.parsing import check_fields, job_of, json_object, parse_job
from livefleet.ai.pipelines import SERVED, kind_of
from livefleet.ai.pool import AiPool, Reservation
from livefleet.ai.pool_snapshot import ModelSnapshot, PoolSnapshot
from livefleet.ai.process import runner_environment
from livefleet.ai.residency import size_of
from livefleet.ai.settings import RUNNER_VERSION, RunnerSettings
from livefleet.ai.watch import WatchLimits
from livefleet.ai.weights import Part, Weights
from livefleet.ai.weights_plan import Pulled, PullPlan, PullWatcher, Wanted
from livefleet.ai.weights_state import WeightsState, state_of

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
    "Malformed",
    "Media",
    "ModelSnapshot",
    "NoCapacity",
    "Part",
    "Placement",
    "PoolSnapshot",
    "PullPlan",
    "PullWatcher",
    "Pulled",
    "Reservation",
    "RunnerHung",
    "RunnerRefused",
    "RunnerSettings",
    "SourceMissing",
    "Unplaced",
    "Wanted",
    "WatchLimits",
    "Weights",
    "WeightsState",
    "check_fields",
    "job_of",
    "json_object",
    "json_pieces",
    "kind_of",
    "parse_job",
    "place",
    "placement_conditions",
    "read_fields",
    "rendered",
    "runner_environment",
    "settings_of",
    "size_of",
    "state_of",
]
