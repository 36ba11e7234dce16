"""Image to image through diffusers: what Auto knows, and pipelines that edit by instruction."""
# diffusers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

from typing import Annotated, Any

from pydantic import Field

from livefleet.ai.errors import InferenceFailed
from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import JobFields, ModelId, Prompt, Seed
from livefleet.ai.pipelines.diffusion import Diffusion
from livefleet.ai.pipelines.distilled import Lightning, Turbo, distillation_of
from livefleet.ai.pipelines.lora_request import lora_strengths
from livefleet.ai.pipelines.picture_kinds import Guidance, PictureKind, Steps
from livefleet.ai.pipelines.pictures import a_picture, decode
from livefleet.ai.pipelines.text_to_image import MAX_IMAGES
from livefleet.ai.settings import CPU, RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

__all__ = ["KIND"]

_BY_INSTRUCTION = "InstructPix2Pix"  # in the pipeline's class name; Auto knows none of them


class ImageToImageRequest(JobFields):
    """A request, alike on both sides."""

    prompt: Prompt
    model_id: ModelId = ""
    loras: Prompt = ""
    strength: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.8
    guidance_scale: Guidance = 7.5
    image_guidance_scale: Guidance = 1.5
    negative_prompt: Prompt = ""
    safety_check: bool = True
    seed: Seed | None = None
    num_inference_steps: Steps = 100
    num_images_per_prompt: Annotated[int, Field(ge=1, le=MAX_IMAGES)] = 1


class ImageToImage(PictureKind[ImageToImageRequest]):
    """Billed by the pixel of the picture that comes, times the images that are made."""

    pipeline = Pipeline.IMAGE_TO_IMAGE
    title = "image-to-image"
    fields = ImageToImageRequest
    runner_fields = ImageToImageRequest
    max_side = 2048
    out_of_memory = "Out of memory error. Try reducing input image resolution."
    failed = "Image-to-image pipeline error."

    def fault(self, fields: ImageToImageRequest, upload: bytes | None) -> str | None:
        """No picture, or LoRAs that cannot be read."""
        try:
            lora_strengths(fields.loras)
        except ValueError as error:
            return str(error)
        return super().fault(fields, upload)

    def units(self, fields: ImageToImageRequest, upload: bytes | None) -> int:
        """Input pixels, once an image."""
        width, height = self.size(upload)
        return width * height * fields.num_images_per_prompt

    def effort(self, fields: ImageToImageRequest) -> int:
        """Denoising steps."""
        return fields.num_inference_steps

    def media(self, fields: ImageToImageRequest) -> int:
        """One file an image."""
        return fields.num_images_per_prompt

    def proof(self, settings: RunnerSettings) -> tuple[ImageToImageRequest, bytes]:
        """One small image, in two steps whatever the strength makes of them."""
        side = 64 if settings.device == CPU else 256
        request = ImageToImageRequest(prompt="warm", num_inference_steps=3, safety_check=False)
        return request, a_picture(side, side)

    def load(self, settings: RunnerSettings) -> "ImageToImageModel":
        """Load it through diffusers."""
        return ImageToImageModel(settings)


KIND = ImageToImage()


class ImageToImageModel(Diffusion):
    """The loaded model."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights; takes seconds to minutes. Raises whatever diffusers does."""
        self._distilled = distillation_of(settings.model_id)
        super().__init__(settings, _pipeline_class(settings))

    def run(self, fields: ImageToImageRequest, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Make the images one after another, image n with `seed + n`. Raises InferenceFailed for a broken picture."""
        stop.check()
        picture = decode(upload or b"", max_side=KIND.max_side)
        arguments: dict[str, Any] = {
            "prompt": fields.prompt,
            "image": picture,
            "control_image": picture,
            "strength": fields.strength,
            "guidance_scale": fields.guidance_scale,
            "image_guidance_scale": fields.image_guidance_scale,
            "num_inference_steps": fields.num_inference_steps,
        }
        if fields.negative_prompt:
            arguments["negative_prompt"] = fields.negative_prompt
        match self._distilled:
            case Turbo():
                # One step at least has to be left of few.
                strength = max(1 / fields.num_inference_steps, fields.strength)
                arguments |= {"guidance_scale": 0.0, "strength": strength}
            case Lightning(steps=steps):
                arguments |= {"guidance_scale": 0.0, "num_inference_steps": steps}
        if "strength" in self._taken and int(arguments["num_inference_steps"] * arguments["strength"]) < 1:
            raise InferenceFailed(
                f"of {arguments['num_inference_steps']} steps a strength of {arguments['strength']:g} leaves none"
            )
        seeds = range(seed, seed + fields.num_images_per_prompt)
        return self._pictures(arguments, seeds, stop, loras=fields.loras, safety_check=fields.safety_check)


def _pipeline_class(settings: RunnerSettings) -> Any:
    from diffusers import AutoPipelineForImage2Image, DiffusionPipeline

    if isinstance(distillation_of(settings.model_id), Lightning):
        return AutoPipelineForImage2Image
    config = DiffusionPipeline.load_config(settings.source, revision=settings.revision)
    return DiffusionPipeline if _BY_INSTRUCTION in config["_class_name"] else AutoPipelineForImage2Image
