"""AI models as declared."""

from enum import StrEnum
from fractions import Fraction
from typing import Literal

from pydantic import Field

from livefleet.spec.declared_price import DeclaredPrice, Price
from livefleet.spec.model import SpecModel
from livefleet.spec.pricing import GatewayAddress

__all__ = ["AiDuty", "ModelEntry", "Pipeline"]


class Pipeline(StrEnum):
    """AI job kinds, by the wire's names."""

    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    IMAGE_TO_VIDEO = "image-to-video"
    UPSCALE = "upscale"
    AUDIO_TO_TEXT = "audio-to-text"
    SEGMENT_ANYTHING_2 = "segment-anything-2"
    LLM = "llm"
    IMAGE_TO_TEXT = "image-to-text"
    TEXT_TO_SPEECH = "text-to-speech"


class ModelEntry(SpecModel):
    """One model that the node serves."""

    pipeline: Pipeline
    """What kind of job it does."""

    model_id: str = Field(min_length=1)
    """The id that gateways ask for, usually the hub's `owner/name`."""

    source: str | None = None
    """Where the weights are: a folder on the host (relative: to the node's state folder) or a hub id. None: `model_id`
    on the hub."""

    revision: str | None = None
    """Hub revision. None: the newest."""

    warm: bool = True
    """Load at start and keep loaded; advertised warm only while it answers."""

    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Weights' type in memory. auto: float16 on a GPU, float32 on a CPU."""

    device: str = "auto"
    """`auto`, `cpu`, or a GPU UUID. `workers`, on an orchestrator: nothing is loaded there, workers that join serve it,
    and the entry says what it costs."""

    capacity: int = Field(default=1, ge=1)
    """Requests served at once."""

    price: Price = DeclaredPrice(Fraction(0))
    """Price of a unit, in wei, gwei, ETH or USD; for images a unit is a pixel of the output."""

    gateways: dict[GatewayAddress, Price] | None = None
    """Price of a unit by gateway address, in place of `price`."""

    @property
    def is_local(self) -> bool:
        """Whether this host loads it."""
        return self.device != "workers"


class AiDuty(SpecModel):
    """Serve the declared models."""

    load_timeout_s: float = Field(default=180.0, gt=0)
    """How long loading a model may take before the runner is restarted."""

    request_timeout_s: float = Field(default=120.0, gt=0)
    """How long one request may run."""
