"""Text to image through diffusers."""
# diffusers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

import copy
import inspect
import io
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import Field

from livefleet.ai.jobs import AiResult, Media
from livefleet.ai.kinds import JobFields, Kind, ModelId, Prompt, Seed
from livefleet.ai.pipelines.device import OnDevice, generator, memory_errors
from livefleet.ai.settings import CPU, RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

__all__ = ["KIND", "MAX_IMAGES", "MAX_SIDE", "MAX_STEPS"]

MAX_SIDE = 2048
"""Largest height or width in pixels."""

MAX_STEPS = 100
"""Most denoising steps. Gateways pay by the pixel, not by the step, so this bounds what a paid pixel can cost us."""

MAX_IMAGES = 8
"""Most images of one request."""

_Side = Annotated[int, Field(ge=8, le=MAX_SIDE)]


class RunnerTextToImage(JobFields):
    """A request as a runner takes it, with ai-runner's own default size."""

    prompt: Prompt
    model_id: ModelId = ""
    loras: Prompt = ""
    height: _Side = 576
    width: _Side = 1024
    guidance_scale: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 7.5
    negative_prompt: Prompt = ""
    safety_check: bool = True
    seed: Seed | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] = 50
    num_images_per_prompt: Annotated[int, Field(ge=1, le=MAX_IMAGES)] = 1


class TextToImageRequest(RunnerTextToImage):
    """A request as an orchestrator takes it. An omitted size is 512x512, which is what gateways are billed for."""

    height: _Side = 512
    width: _Side = 512


class TextToImage(Kind[RunnerTextToImage]):
    """Billed by the output pixel of all images."""

    pipeline = Pipeline.TEXT_TO_IMAGE
    title = "text-to-image"
    fields = TextToImageRequest
    runner_fields = RunnerTextToImage
    out_of_memory = "Out of memory error. Try reducing output image resolution."
    failed = "Text-to-image pipeline error."

    def fault(self, fields: RunnerTextToImage, upload: bytes | None) -> str | None:
        """An empty prompt, LoRAs, and sizes that no diffusion model can make."""
        if not fields.prompt:
            return "Prompt must be provided."
        if fields.loras not in {"", "{}"}:
            return "LoRAs are not served by this runner."
        if fields.height % 8 or fields.width % 8:
            return f"`height` and `width` have to be divisible by 8 but are {fields.height} and {fields.width}."
        return None

    def units(self, fields: RunnerTextToImage, upload: bytes | None) -> int:
        """Output pixels of all images."""
        return fields.height * fields.width * fields.num_images_per_prompt

    def effort(self, fields: RunnerTextToImage) -> int:
        """Denoising steps."""
        return fields.num_inference_steps

    def media(self, fields: RunnerTextToImage) -> int:
        """One file an image."""
        return fields.num_images_per_prompt

    def proof(self, settings: RunnerSettings) -> tuple[RunnerTextToImage, None]:
        """One small image in two steps."""
        side = 64 if settings.device == CPU else 256
        request = RunnerTextToImage(prompt="warm", height=side, width=side, num_inference_steps=2, safety_check=False)
        return request, None

    def load(self, settings: RunnerSettings) -> "TextToImageModel":
        """Load it through diffusers."""
        return TextToImageModel(settings)


KIND = TextToImage()


class TextToImageModel(OnDevice):
    """One set of weights, and as many pipelines over it as there may be jobs at once.

    A diffusers pipeline keeps the state of a job in its scheduler, and a tokenizer keeps the padding that it was last
    asked for: two jobs at once share neither. Weights are only read.
    """

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights; takes seconds to minutes. Raises whatever diffusers does."""
        from diffusers import AutoPipelineForText2Image
        from diffusers.utils import logging as diffusers_logging

        super().__init__(settings)
        diffusers_logging.disable_progress_bar()
        first = AutoPipelineForText2Image.from_pretrained(
            settings.source, revision=settings.revision, dtype=self.dtype
        ).to(self.device)
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(settings.capacity):
            scheduler = type(first.scheduler).from_config(first.scheduler.config)
            parts = {**first.components, **_own_tokenizers(first), "scheduler": scheduler}
            pipeline = type(first)(**parts, **_flags_of(first))
            pipeline.set_progress_bar_config(disable=True)
            self._free.put(pipeline)

    def run(self, fields: RunnerTextToImage, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Make the images one after another, image n with `seed + n`."""
        stop.check()
        images, media = [], {}
        with self._a_pipeline() as pipeline, _safety_check(pipeline, wanted=fields.safety_check), memory_errors():
            for number in range(fields.num_images_per_prompt):
                png, nsfw = self._one(pipeline, fields, seed + number, stop)
                place = str(number)
                media[place] = Media(png, "image/png")
                images.append({"url": place, "seed": seed + number, "nsfw": nsfw})
        return AiResult({"images": images}, media)

    @contextmanager
    def _a_pipeline(self) -> Iterator[Any]:
        pipeline = self._free.get()
        try:
            yield pipeline
        finally:
            self._free.put(pipeline)

    def _one(self, pipeline: Any, fields: RunnerTextToImage, seed: int, stop: Stop) -> tuple[bytes, bool]:
        output = pipeline(
            prompt=fields.prompt,
            height=fields.height,
            width=fields.width,
            guidance_scale=fields.guidance_scale,
            num_inference_steps=fields.num_inference_steps,
            generator=generator(seed),
            **_optional(pipeline, fields, stop),
        )
        png = io.BytesIO()
        output.images[0].save(png, format="PNG")
        verdicts = getattr(output, "nsfw_content_detected", None)
        return png.getvalue(), bool(verdicts and verdicts[0])


def _optional(pipeline: Any, fields: RunnerTextToImage, stop: Stop) -> dict[str, Any]:
    """What some pipelines do not take."""
    taken = inspect.signature(pipeline.__call__).parameters
    optional: dict[str, Any] = {}
    if fields.negative_prompt:
        optional["negative_prompt"] = fields.negative_prompt
    if "callback_on_step_end" in taken:
        optional["callback_on_step_end"] = _checking(stop)
    return optional


def _checking(stop: Stop) -> Callable[..., dict[str, Any]]:
    def at_step_end(_pipeline: Any, _step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        stop.check()
        return tensors

    return at_step_end


def _own_tokenizers(pipeline: Any) -> dict[str, Any]:
    from transformers import PreTrainedTokenizerBase

    return {n: copy.deepcopy(p) for n, p in pipeline.components.items() if isinstance(p, PreTrainedTokenizerBase)}


def _flags_of(pipeline: Any) -> dict[str, Any]:
    """Constructor arguments of a pipeline that are settings, not parts."""
    taken = inspect.signature(type(pipeline).__init__).parameters
    parts = pipeline.components
    return {name: value for name, value in pipeline.config.items() if name in taken and name not in parts}


@contextmanager
def _safety_check(pipeline: Any, *, wanted: bool) -> Iterator[None]:
    """Leave the pipeline's own check on or off for one job; a pipeline without one has none to leave on."""
    checker = getattr(pipeline, "safety_checker", None)
    if wanted or checker is None:
        yield
        return
    pipeline.safety_checker = None
    try:
        yield
    finally:
        pipeline.safety_checker = checker
