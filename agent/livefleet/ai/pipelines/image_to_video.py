"""Image to video through Stable Video Diffusion: a picture in, the frames of a film out.

Frames go out as pictures; whoever asked the runner joins them to a film, as go-livepeer's worker does.
"""

from typing import Annotated, Any

from pydantic import Field

from livefleet.ai.jobs import AiResult, Media
from livefleet.ai.kinds import JobFields, ModelId, Seed
from livefleet.ai.pipelines.diffusion import Diffusion
from livefleet.ai.pipelines.picture_kinds import PictureKind, Side, Steps, not_by_eight
from livefleet.ai.pipelines.pictures import a_picture, as_png, decode
from livefleet.ai.settings import CPU, RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

__all__ = ["BILLED_FRAMES", "KIND", "MAX_FPS"]

BILLED_FRAMES = 25
"""A film is paid for as if it had so many, whatever the model makes."""

RUNNER_FPS = 6
"""What models are told when the request does not say."""

MAX_FPS = 60
"""Most pictures a second of the film."""

_Fps = Annotated[int, Field(ge=1, le=MAX_FPS)]
_DECODED_AT_ONCE = 4  # frames; all of them would need the most memory of the whole job


class ImageToVideoRequest(JobFields):
    """A request as an orchestrator takes it. An omitted `fps` stays so: runners and films have different ones."""

    model_id: ModelId = ""
    height: Side = 576
    width: Side = 1024
    fps: _Fps | None = None
    motion_bucket_id: Annotated[int, Field(ge=0, le=1023)] = 127
    noise_aug_strength: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.02
    safety_check: bool = True
    seed: Seed | None = None
    num_inference_steps: Steps = 25


class RunnerImageToVideo(ImageToVideoRequest):
    """A request as a runner takes it."""

    fps: _Fps = RUNNER_FPS


class ImageToVideo(PictureKind[ImageToVideoRequest]):
    """Billed by the pixel of 25 frames, however many the model makes."""

    pipeline = Pipeline.IMAGE_TO_VIDEO
    title = "image-to-video"
    fields = ImageToVideoRequest
    runner_fields = RunnerImageToVideo
    out_of_memory = "Out of memory error. Try reducing input or output video resolution."
    failed = "Image-to-video pipeline error."

    def fault(self, fields: ImageToVideoRequest, upload: bytes | None) -> str | None:
        """Sizes that cannot be made, or no picture."""
        return not_by_eight(fields.height, fields.width) or super().fault(fields, upload)

    def units(self, fields: ImageToVideoRequest, upload: bytes | None) -> int:
        """Pixels of 25 frames."""
        return fields.height * fields.width * BILLED_FRAMES

    def effort(self, fields: ImageToVideoRequest) -> int:
        """Denoising steps."""
        return fields.num_inference_steps

    def media(self, fields: ImageToVideoRequest) -> int:
        """One film, once its frames are joined."""
        return 1

    def proof(self, settings: RunnerSettings) -> tuple[RunnerImageToVideo, bytes]:
        """One small film in two steps."""
        side = 64 if settings.device == CPU else 256
        request = RunnerImageToVideo(height=side, width=side, num_inference_steps=2, safety_check=False)
        return request, a_picture(side, side)

    def load(self, settings: RunnerSettings) -> "ImageToVideoModel":
        """Load it through diffusers."""
        return ImageToVideoModel(settings)


KIND = ImageToVideo()


class ImageToVideoModel(Diffusion):
    """The loaded model."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights; takes seconds to minutes. Raises whatever diffusers does."""
        from diffusers import StableVideoDiffusionPipeline

        super().__init__(settings, StableVideoDiffusionPipeline)

    def run(self, fields: ImageToVideoRequest, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Make the frames, as many as the model has. Raises InferenceFailed for a broken picture.

        The check looks at the picture that came, as ai-runner's does; of a flagged one a black picture's film is made.
        """
        stop.check()
        picture = decode(upload or b"", max_side=KIND.max_side)
        (nsfw,) = self._safety.flags([picture], wanted=fields.safety_check)
        arguments: dict[str, Any] = {
            "image": picture.point(lambda _: 0) if nsfw else picture,
            "height": fields.height,
            "width": fields.width,
            "fps": fields.fps or RUNNER_FPS,
            "motion_bucket_id": fields.motion_bucket_id,
            "noise_aug_strength": fields.noise_aug_strength,
            "num_inference_steps": fields.num_inference_steps,
            "decode_chunk_size": _DECODED_AT_ONCE,
        }
        with self._a_pipeline() as pipeline:
            (frames,) = self._call(pipeline, arguments, seed, stop).frames
        media = {str(number): Media(as_png(frame), "image/png") for number, frame in enumerate(frames)}
        return AiResult({"frames": [[{"url": place, "seed": seed, "nsfw": nsfw} for place in media]]}, media)
