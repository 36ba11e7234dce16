"""AI models as declared."""

import operator
from enum import StrEnum
from fractions import Fraction
from functools import partial
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from livefleet.spec.declared_price import DeclaredPrice, Price
from livefleet.spec.memory import Memory
from livefleet.spec.model import SpecModel
from livefleet.spec.optimization import OptimizationFlags
from livefleet.spec.pricing import GatewayAddress
from livefleet.spec.weights import WeightsSettings, hub_revision

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

    @property
    def unit(self) -> str:
        """What a price is for, in words; gateways pay for these."""
        return _UNITS[self]


_UNITS: Final = {
    Pipeline.TEXT_TO_IMAGE: "pixel of the output (height x width x images)",
    Pipeline.IMAGE_TO_IMAGE: "pixel of the input (height x width x images)",
    Pipeline.IMAGE_TO_VIDEO: "pixel of the output (height x width x 25 frames)",
    Pipeline.UPSCALE: "pixel of the input (height x width)",
    Pipeline.AUDIO_TO_TEXT: "thousandth of a second of audio (whole seconds x 1000)",
    Pipeline.SEGMENT_ANYTHING_2: "pixel of the input (height x width)",
    Pipeline.LLM: "token that the answer may have (`max_tokens`)",
    Pipeline.IMAGE_TO_TEXT: "pixel of the input (height x width)",
    Pipeline.TEXT_TO_SPEECH: "thousandth of a character of the text (characters x 1000)",
}
_WITH_LORAS: Final = frozenset({Pipeline.TEXT_TO_IMAGE, Pipeline.IMAGE_TO_IMAGE})
_PICTURES: Final = _WITH_LORAS | {Pipeline.UPSCALE, Pipeline.IMAGE_TO_VIDEO}
_FITS: Final = {
    "loras": _WITH_LORAS,
    "controlnet": frozenset({Pipeline.IMAGE_TO_IMAGE}),
    "safety_check": _PICTURES,
    "safety_checker": _PICTURES,
}
_DEVICE_WORDS: Final = frozenset({"auto", "cpu", "workers"})
# What an entry does not say is not written either, so that a further field leaves the digests of nodes as they are.
_is_false: Final = partial(operator.is_, False)  # noqa: FBT003 -- what is compared with
_is_true: Final = partial(operator.is_, True)  # noqa: FBT003 -- likewise
_is_zero: Final = partial(operator.eq, 0)
_is_empty: Final = partial(operator.eq, {})


def _device(text: str) -> str:
    if text.lower() in _DEVICE_WORDS and text not in _DEVICE_WORDS:
        raise ValueError(f"`{text}` is written `{text.lower()}`")
    return text


class ModelEntry(SpecModel):
    """One model that the node serves."""

    pipeline: Pipeline
    """What kind of job it does."""

    model_id: Annotated[str, StringConstraints(pattern=r"^\S(.*\S)?$", max_length=200)]
    """The id that gateways ask for, usually the hub's `owner/name`. Gateways compare it letter by letter."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*)?$")] | None = None
    """Base URL of a runner that is already there: an ai-runner container or anything with its HTTP API. It is asked and
    watched, never started or stopped. None: this node loads the model itself."""

    token: str | None = Field(default=None, min_length=1)
    """Name (under `secrets`) of what `url` is sent as `Authorization: Bearer`. None: nothing is sent."""

    source: str | None = Field(default=None, min_length=1)
    """Where the weights are: a folder on the host (relative: to the node's state folder) or a hub id. None: `model_id`
    on the hub. With `url` only `ollama:NAME:TAG`, the model that an Ollama server at `url` is asked for."""

    revision: Annotated[str, AfterValidator(hub_revision)] | None = None
    """Hub revision: a branch, a tag, or best a commit, which is the same on every host for ever. None: what `main` is
    when the weights are pulled; they stay until they are pulled again."""

    warm: bool = True
    """Load at start and keep loaded; advertised warm only while it answers."""

    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Weights' type in memory. auto: float16 on a GPU, float32 on a CPU."""

    device: Annotated[str, AfterValidator(_device)] = "auto"
    """`auto` (any GPU with room, the CPU where there is none), `cpu`, or a GPU UUID. `workers`, on an orchestrator:
    nothing is loaded there, workers that join serve it, and the entry says what it costs."""

    capacity: int = Field(default=1, ge=1)
    """Requests served at once."""

    price: Price = DeclaredPrice(Fraction(0))
    """Price of a unit, in wei, gwei, ETH or USD, for example `0.18 USD per 1e6 units`. A unit is: text-to-image and
    image-to-video a pixel of the output (of 25 frames); image-to-image, upscale, segment-anything-2 and image-to-text a
    pixel of the input; audio-to-text a thousandth of a second; llm a token of `max_tokens`; text-to-speech a thousandth
    of a character."""

    gateways: dict[GatewayAddress, Price] | None = None
    """Price of a unit by gateway address, in place of `price`."""

    loras: bool = Field(default=False, exclude_if=_is_false)
    """Whether requests may name LoRAs; for text-to-image and image-to-image. They are looked for in `loras/NAME` of the
    model's folder, then on the hub."""

    controlnet: str | None = Field(default=None, min_length=1)
    """Weights of a ControlNet that the sent pictures guide, a folder or hub id like `source`; for image-to-image."""

    safety_check: bool | Literal["forced"] = Field(default=True, exclude_if=_is_true)
    """`true`: pictures are checked where the request asks for it and the model has a checker. `forced`: always.
    `false`: no checker is loaded. For the pipelines that make pictures."""

    safety_checker: str | None = Field(default=None, min_length=1)
    """Weights of a checker (StableDiffusionSafetyChecker), a folder or hub id like `source`, for a model that comes
    without one."""

    optimization: OptimizationFlags = Field(default={}, exclude_if=_is_empty)
    """ai-runner's optimization flags by name (`optimization_flags` of go-livepeer's aiModels), for example
    `{SFAST: true}`. A flag that a pipeline does not know changes nothing."""

    priority: int = Field(default=0, exclude_if=_is_zero)
    """Who stays when memory is short: of two models the one with the higher number."""

    memory: Memory | None = None
    """What the model needs at most with a request under way, for example `9 GiB`, until it has been measured. None: it
    is reckoned from the size of its files."""

    @field_validator("source")
    @classmethod
    def _source_fits_url(cls, source: str | None, info: ValidationInfo) -> str | None:
        if source is None:
            return None
        is_ollama = source.startswith("ollama:")
        if info.data.get("url") is not None and not is_ollama:
            raise ValueError("the runner at `url` has its own weights; take one of both away")
        if is_ollama and info.data.get("url") is None:
            raise ValueError("`ollama:` needs the server's address in `url`, for example http://127.0.0.1:11434")
        if source == "ollama:":
            raise ValueError("say which model, for example `ollama:llama3.1:8b`")
        if is_ollama and info.data.get("pipeline") not in (None, Pipeline.LLM):
            raise ValueError("an Ollama server does `llm` only")
        return source

    @field_validator("token")
    @classmethod
    def _token_has_url(cls, token: str | None, info: ValidationInfo) -> str | None:
        if token is not None and "url" in info.data and info.data["url"] is None:
            raise ValueError("it is sent to `url`, and there is none")
        return token

    @field_validator("revision")
    @classmethod
    def _revision_fits_url(cls, revision: str | None, info: ValidationInfo) -> str | None:
        if revision is not None and info.data.get("url") is not None:
            raise ValueError("the runner at `url` has its own weights; take one of both away")
        return revision

    @field_validator("device")
    @classmethod
    def _device_fits_url(cls, device: str, info: ValidationInfo) -> str:
        if device != "auto" and info.data.get("url") is not None:
            raise ValueError("the runner at `url` has its own device; take one of both away")
        return device

    @field_validator("loras", "controlnet", "safety_check", "safety_checker")
    @classmethod
    def _fits_pipeline(cls, value: object, info: ValidationInfo) -> object:
        pipeline = info.data.get("pipeline")
        fits = _FITS[str(info.field_name)]
        is_given = value not in (None, False) if info.field_name == "loras" else value is not None
        if is_given and pipeline is not None and pipeline not in fits:
            raise ValueError(f"{pipeline} has no use for it; it is for {', '.join(sorted(fits))}")
        return value

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

    cold_patience_s: float = Field(default=30.0, ge=0, exclude_if=partial(operator.eq, 30.0))
    """How long a request may wait until a model that is not loaded has been. One for which that takes longer, as it was
    measured before, is refused at once with `insufficient capacity`, and the model is loaded for those that come
    back."""

    proof_interval_s: float = Field(default=3600.0, ge=0, exclude_if=partial(operator.eq, 3600.0))
    """After how many seconds without an answer an idle model has to show that it works, by a small job of its
    pipeline's. One that fails is not offered any more and loaded anew; one that serves elsewhere (`url`) is not offered
    until it works. Whoever pays goes before. 0: only after loading, and after it gave no sign of life."""

    ram: Memory | None = Field(default=None, exclude_if=partial(operator.is_, None))
    """RAM that models on the CPU may take together, for example `24 GiB`, less what other programs use beyond the rest.
    None: nine tenths of the machine's."""

    weights: WeightsSettings = Field(default=WeightsSettings(), exclude_if=partial(operator.eq, WeightsSettings()))
    """Models' files: the hub or mirror, the site's cache, the folder on this host."""
