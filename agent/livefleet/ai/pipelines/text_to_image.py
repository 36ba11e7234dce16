"""Text to image through diffusers."""
# diffusers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

import copy
import inspect
import io
import logging
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from livefleet.ai.errors import OutOfMemory
from livefleet.ai.models import ImageResult, RunnerTextToImage
from livefleet.ai.runner_api import Stop
from livefleet.ai.settings import CPU, RunnerSettings

if TYPE_CHECKING:
    import torch

__all__ = ["TextToImage"]

log = logging.getLogger(__name__)


class TextToImage:
    """One set of weights, and as many pipelines over it as there may be jobs at once.

    A diffusers pipeline keeps the state of a job in its scheduler, and a tokenizer keeps the padding that it was last
    asked for: two jobs at once share neither. Weights are only read.
    """

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights; takes seconds to minutes. Raises whatever diffusers does."""
        import torch
        from diffusers import AutoPipelineForText2Image
        from diffusers.utils import logging as diffusers_logging

        diffusers_logging.disable_progress_bar()
        torch.set_num_threads(settings.cpu_threads)
        # The process sees exactly one GPU, the declared one.
        self._device = torch.device(CPU if settings.device == CPU else "cuda:0")
        self._uuid = settings.device
        first = AutoPipelineForText2Image.from_pretrained(
            settings.source, revision=settings.revision, dtype=getattr(torch, settings.dtype)
        ).to(self._device)
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(settings.capacity):
            scheduler = type(first.scheduler).from_config(first.scheduler.config)
            parts = {**first.components, **_own_tokenizers(first), "scheduler": scheduler}
            pipeline = type(first)(**parts, **_flags_of(first))
            pipeline.set_progress_bar_config(disable=True)
            self._free.put(pipeline)

    def text_to_image(self, request: RunnerTextToImage, seed: int, stop: Stop) -> Sequence[ImageResult]:
        """Make the images, one after another."""
        import torch

        stop.check()
        with self._a_pipeline() as pipeline, _safety_check(pipeline, wanted=request.safety_check):
            try:
                return [
                    self._one(pipeline, request, seed + number, stop) for number in range(request.num_images_per_prompt)
                ]
            except torch.OutOfMemoryError as error:
                torch.cuda.empty_cache()
                raise OutOfMemory(str(error)) from error

    def gpu_info(self) -> dict[str, Any]:
        """The GPU as CUDA sees it now."""
        import torch

        if self._device.type == CPU:
            return {}
        properties = torch.cuda.get_device_properties(self._device)
        free, total = torch.cuda.mem_get_info(self._device)
        return {
            "0": {
                "id": self._uuid,
                "name": properties.name,
                "memory_total": total,
                "memory_free": free,
                "major": properties.major,
                "minor": properties.minor,
            }
        }

    @contextmanager
    def _a_pipeline(self) -> Iterator[Any]:
        pipeline = self._free.get()
        try:
            yield pipeline
        finally:
            self._free.put(pipeline)

    def _one(self, pipeline: Any, request: RunnerTextToImage, seed: int, stop: Stop) -> ImageResult:
        output = pipeline(
            prompt=request.prompt,
            height=request.height,
            width=request.width,
            guidance_scale=request.guidance_scale,
            num_inference_steps=request.num_inference_steps,
            generator=_generator(seed),
            **_optional(pipeline, request, stop),
        )
        png = io.BytesIO()
        output.images[0].save(png, format="PNG")
        verdicts = getattr(output, "nsfw_content_detected", None)
        return ImageResult(png=png.getvalue(), seed=seed, nsfw=bool(verdicts and verdicts[0]))


def _generator(seed: int) -> "torch.Generator":
    """Noise from the CPU on every device, so that a seed means the same image on all of them, up to rounding."""
    import torch

    return torch.Generator().manual_seed(seed)


def _optional(pipeline: Any, request: RunnerTextToImage, stop: Stop) -> dict[str, Any]:
    """What some pipelines do not take."""
    taken = inspect.signature(pipeline.__call__).parameters
    optional: dict[str, Any] = {}
    if request.negative_prompt:
        optional["negative_prompt"] = request.negative_prompt
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
