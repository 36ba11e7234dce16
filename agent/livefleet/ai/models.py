"""AI requests and results, independent of who asked and where they run."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from livefleet.ai.errors import BadRequest
from livefleet.spec import Pipeline

__all__ = [
    "DATA_URL_PREFIX",
    "MAX_IMAGES",
    "MAX_SIDE",
    "MAX_STEPS",
    "AdvertisedModel",
    "ImageResult",
    "RunnerTextToImage",
    "TextToImageRequest",
    "images_from_json",
    "images_to_json",
    "parse_text_to_image",
    "size_fault",
]

MAX_SIDE = 2048
"""Largest height or width in pixels."""

MAX_STEPS = 100
"""Most denoising steps. Gateways pay by the pixel, not by the step, so this bounds what a paid pixel can cost us."""

MAX_IMAGES = 8
"""Most images of one request."""

DATA_URL_PREFIX = "data:image/png;base64,"

_Side = Annotated[int, Field(ge=8, le=MAX_SIDE)]
_Text = Annotated[str, Field(max_length=8192)]


@dataclass(frozen=True, slots=True)
class AdvertisedModel:
    """A model as capabilities tell it: summed over the runners that serve it."""

    pipeline: str
    model_id: str
    warm: bool  # loaded and answering, at least one runner
    capacity: int  # requests at once, of runners that can serve
    capacity_in_use: int
    runner_version: str  # lowest of its runners; empty while none is loaded


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One made image."""

    png: bytes
    seed: int  # asking again with this seed and one image gives this image
    nsfw: bool  # false when no check ran


class _TextToImage(BaseModel):
    """The fields of a text-to-image request; unknown ones are ignored and null means absent, as Go peers do."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    prompt: _Text
    model_id: Annotated[str, Field(max_length=512)] = ""
    loras: _Text = ""
    height: _Side
    width: _Side
    guidance_scale: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 7.5
    negative_prompt: _Text = ""
    safety_check: bool = True
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63 - MAX_IMAGES)] | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] = 50
    num_images_per_prompt: Annotated[int, Field(ge=1, le=MAX_IMAGES)] = 1

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class TextToImageRequest(_TextToImage):
    """A request as an orchestrator takes it. An omitted size is 512x512, which is what gateways are billed for."""

    model_id: Annotated[str, Field(min_length=1, max_length=512)]
    height: _Side = 512
    width: _Side = 512

    @property
    def pixels(self) -> int:
        """Output pixels of all images: the units that gateways pay for."""
        return self.height * self.width * self.num_images_per_prompt


class RunnerTextToImage(_TextToImage):
    """A request as a runner takes it, with ai-runner's own default size."""

    height: _Side = 576
    width: _Side = 1024


def parse_text_to_image(body: bytes) -> TextToImageRequest:
    """The request in an HTTP body. Raises BadRequest with every fault of it."""
    try:
        request = TextToImageRequest.model_validate_json(body)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors(include_url=False))
        raise BadRequest(Pipeline.TEXT_TO_IMAGE, "; ".join(faults)) from error
    if not request.prompt:
        raise BadRequest(Pipeline.TEXT_TO_IMAGE, "Prompt must be provided.")
    if fault := size_fault(request):
        raise BadRequest(Pipeline.TEXT_TO_IMAGE, fault)
    return request


def size_fault(request: _TextToImage) -> str | None:
    """ai-runner's words for a size that no diffusion model can make, else None."""
    if request.height % 8 == 0 and request.width % 8 == 0:
        return None
    return f"`height` and `width` have to be divisible by 8 but are {request.height} and {request.width}."


def images_to_json(images: Iterable[ImageResult]) -> dict[str, Any]:
    """A runner's reply, images as data URLs."""
    return {
        "images": [
            {"url": DATA_URL_PREFIX + base64.b64encode(i.png).decode(), "seed": i.seed, "nsfw": i.nsfw} for i in images
        ]
    }


def images_from_json(body: bytes) -> tuple[ImageResult, ...]:
    """The images of a runner's reply. Raises ValueError when it is none."""
    reply = _ImageReply.model_validate_json(body)
    return tuple(ImageResult(png=_png_of(i.url), seed=i.seed, nsfw=i.nsfw) for i in reply.images)


class _Image(BaseModel):
    url: str
    seed: int
    nsfw: bool


class _ImageReply(BaseModel):
    images: list[_Image] = Field(min_length=1)


def _png_of(url: str) -> bytes:
    if not url.startswith(DATA_URL_PREFIX):
        raise ValueError(f"not a PNG data URL: {url[:40]}")
    try:
        return base64.b64decode(url[len(DATA_URL_PREFIX) :], validate=True)
    except binascii.Error as error:
        raise ValueError("the data URL is not base64") from error
