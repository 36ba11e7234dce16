"""Text to image through diffusers: Stable Diffusion, SDXL its turbo and lightning kin, and what else Auto knows."""

from collections.abc import Hashable, Sequence
from typing import Annotated, Any

from pydantic import Field

from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import BatchedJob, JobFields, Kind, ModelId, Prompt, Seed
from livefleet.ai.pipelines.diffusion import Diffusion
from livefleet.ai.pipelines.distilled import Lightning, Turbo, distillation_of
from livefleet.ai.pipelines.lora_request import lora_strengths
from livefleet.ai.pipelines.picture_kinds import Guidance, Side, Steps, not_by_eight
from livefleet.ai.settings import CPU, RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

__all__ = ["KIND", "MAX_IMAGES"]

MAX_IMAGES = 8
"""Most images of one request."""

_MOST_PROMPTS = 3  # prompt, prompt_2 and prompt_3: no pipeline takes more


class RunnerTextToImage(JobFields):
    """A request as a runner takes it, with ai-runner's own default size."""

    prompt: Prompt
    model_id: ModelId = ""
    loras: Prompt = ""
    height: Side = 576
    width: Side = 1024
    guidance_scale: Guidance = 7.5
    negative_prompt: Prompt = ""
    safety_check: bool = True
    seed: Seed | None = None
    num_inference_steps: Steps = 50
    num_images_per_prompt: Annotated[int, Field(ge=1, le=MAX_IMAGES)] = 1


class TextToImageRequest(RunnerTextToImage):
    """A request as an orchestrator takes it. An omitted size is 512x512, which is what gateways are billed for."""

    height: Side = 512
    width: Side = 512


class TextToImage(Kind[RunnerTextToImage]):
    """Billed by the output pixel of all images."""

    pipeline = Pipeline.TEXT_TO_IMAGE
    title = "text-to-image"
    fields = TextToImageRequest
    runner_fields = RunnerTextToImage
    out_of_memory = "Out of memory error. Try reducing output image resolution."
    failed = "Text-to-image pipeline error."

    def fault(self, fields: RunnerTextToImage, upload: bytes | None) -> str | None:
        """An empty prompt, unreadable LoRAs, and sizes that no diffusion model can make."""
        if not fields.prompt:
            return "Prompt must be provided."
        try:
            lora_strengths(fields.loras)
        except ValueError as error:
            return str(error)
        return not_by_eight(fields.height, fields.width)

    def units(self, fields: RunnerTextToImage, upload: bytes | None) -> int:
        """Output pixels of all images."""
        return fields.height * fields.width * fields.num_images_per_prompt

    def effort(self, fields: RunnerTextToImage) -> int:
        """Denoising steps."""
        return fields.num_inference_steps

    def media(self, fields: RunnerTextToImage) -> int:
        """One file an image."""
        return fields.num_images_per_prompt

    def batch_key(self, fields: RunnerTextToImage, upload: bytes | None) -> Hashable | None:
        """One image in one text; what is no text and no seed is alike."""
        if fields.num_images_per_prompt > 1 or "|" in fields.prompt + fields.negative_prompt:
            return None
        own = {"prompt", "negative_prompt", "seed", "model_id"}
        return (bool(fields.negative_prompt), *sorted(fields.model_dump(exclude=own).items()))

    def proof(self, settings: RunnerSettings) -> tuple[RunnerTextToImage, None]:
        """One small image in two steps."""
        side = 64 if settings.device == CPU else 256
        request = RunnerTextToImage(prompt="warm", height=side, width=side, num_inference_steps=2, safety_check=False)
        return request, None

    def load(self, settings: RunnerSettings) -> "TextToImageModel":
        """Load it through diffusers."""
        return TextToImageModel(settings)


KIND = TextToImage()


class TextToImageModel(Diffusion):
    """The loaded model."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights; takes seconds to minutes. Raises whatever diffusers does."""
        from diffusers import AutoPipelineForText2Image

        self._distilled = distillation_of(settings.model_id)
        super().__init__(settings, AutoPipelineForText2Image)

    def run(self, fields: RunnerTextToImage, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Make the images one after another, image n with `seed + n`."""
        seeds = range(seed, seed + fields.num_images_per_prompt)
        arguments = self._arguments(fields)
        return self._pictures(arguments, seeds, stop, loras=fields.loras, safety_check=fields.safety_check)

    def run_batch(self, jobs: Sequence[BatchedJob[RunnerTextToImage]]) -> list[AiResult]:
        """Make one image a job, all at once. Their pixels may differ in the last bit from what `run` makes."""
        first = jobs[0].fields
        arguments = self._arguments(first) | {"prompt": [job.fields.prompt for job in jobs]}
        if first.negative_prompt:
            arguments["negative_prompt"] = [job.fields.negative_prompt for job in jobs]
        return self._pictures_together(arguments, jobs, loras=first.loras, safety_check=first.safety_check)

    def _arguments(self, fields: RunnerTextToImage) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "height": fields.height,
            "width": fields.width,
            "guidance_scale": fields.guidance_scale,
            "num_inference_steps": fields.num_inference_steps,
            **_prompts("prompt", fields.prompt, self._taken),
        }
        if fields.negative_prompt:
            arguments |= _prompts("negative_prompt", fields.negative_prompt, self._taken)
        match self._distilled:
            case Turbo():
                arguments["guidance_scale"] = 0.0
            case Lightning(steps=steps):
                arguments |= {"guidance_scale": 0.0, "num_inference_steps": steps}
        return arguments


def _prompts(name: str, text: str, taken: frozenset[str]) -> dict[str, str]:
    """A text of several parts, `a|b`, is one for each text encoder, where the pipeline takes more than one."""
    parts = [part.strip() for part in text.split("|", _MOST_PROMPTS - 1) if part.strip()]
    names = [name, *(f"{name}_{number}" for number in range(2, len(parts) + 1))]
    if not parts or not taken.issuperset(names):
        return {name: text}
    return dict(zip(names, parts, strict=True))
