"""Upscaling through diffusers' Stable Diffusion upscaler."""

from pydantic import field_validator

from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import JobFields, ModelId, Prompt, Seed
from livefleet.ai.pipelines.diffusion import Diffusion
from livefleet.ai.pipelines.picture_kinds import PictureKind, Steps
from livefleet.ai.pipelines.pictures import a_picture, decode
from livefleet.ai.settings import CPU, RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

__all__ = ["KIND"]


class UpscaleRequest(JobFields):
    """A request, alike on both sides."""

    prompt: Prompt
    model_id: ModelId = ""
    safety_check: bool = True
    seed: Seed | None = None
    num_inference_steps: Steps = 75

    @field_validator("seed")
    @classmethod
    def _zero_is_absent(cls, seed: int | None) -> int | None:
        """As in ai-runner."""
        return seed or None


class Upscale(PictureKind[UpscaleRequest]):
    """Billed by the pixel of the picture that comes, not of the one that is made."""

    pipeline = Pipeline.UPSCALE
    title = "upscale"
    fields = UpscaleRequest
    runner_fields = UpscaleRequest
    max_side = 1024
    """Its output has four times the side, so 4096 pixels."""

    out_of_memory = "Out of memory error. Try reducing input image resolution."
    failed = "Upscale pipeline error."

    def units(self, fields: UpscaleRequest, upload: bytes | None) -> int:
        """Input pixels."""
        width, height = self.size(upload)
        return width * height

    def effort(self, fields: UpscaleRequest) -> int:
        """Denoising steps."""
        return fields.num_inference_steps

    def media(self, fields: UpscaleRequest) -> int:
        """One image."""
        return 1

    def proof(self, settings: RunnerSettings) -> tuple[UpscaleRequest, bytes]:
        """One small image in two steps."""
        side = 16 if settings.device == CPU else 64
        return UpscaleRequest(prompt="warm", num_inference_steps=2, safety_check=False), a_picture(side, side)

    def load(self, settings: RunnerSettings) -> "UpscaleModel":
        """Load it through diffusers."""
        return UpscaleModel(settings)


KIND = Upscale()


class UpscaleModel(Diffusion):
    """The loaded model."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights; takes seconds to minutes. Raises whatever diffusers does."""
        from diffusers import StableDiffusionUpscalePipeline

        super().__init__(settings, StableDiffusionUpscalePipeline)

    def run(self, fields: UpscaleRequest, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Make the image. Raises InferenceFailed for a broken picture."""
        stop.check()
        arguments = {
            "prompt": fields.prompt,
            "image": decode(upload or b"", max_side=KIND.max_side),
            "num_inference_steps": fields.num_inference_steps,
        }
        return self._pictures(arguments, (seed,), stop, safety_check=fields.safety_check)
