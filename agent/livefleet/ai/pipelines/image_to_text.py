"""Captions of pictures through BLIP."""
# transformers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

import threading
from typing import Any

from livefleet.ai.errors import BadFields
from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import JobFields, ModelId, Prompt, Upload
from livefleet.ai.pictures import MAX_SIDE
from livefleet.ai.pipelines.device import OnDevice, memory_errors
from livefleet.ai.pipelines.picture_kinds import PictureKind
from livefleet.ai.pipelines.pictures import a_picture, decode
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

__all__ = ["KIND"]

_MAX_NEW_TOKENS = 64


class ImageToTextRequest(JobFields):
    """A request, to an orchestrator and to a runner alike."""

    prompt: Prompt = ""
    """What the caption starts with."""

    model_id: ModelId = ""


class ImageToText(PictureKind[ImageToTextRequest]):
    """Billed by the pixel of the picture."""

    pipeline = Pipeline.IMAGE_TO_TEXT
    title = "image-to-text"
    fields = ImageToTextRequest
    runner_fields = ImageToTextRequest
    upload = Upload("image", too_large="File size exceeds limit")
    out_of_memory = "Out of memory error. Try reducing input image resolution."
    failed = "Image-to-text pipeline error."
    dot = ""
    token_dot = ""
    too_large_colon = ""

    def units(self, fields: ImageToTextRequest, upload: bytes | None) -> int:
        """Pixels of the picture."""
        width, height = self.size(upload)
        return width * height

    def proof(self, settings: RunnerSettings) -> tuple[ImageToTextRequest, bytes]:
        """A grey square."""
        return ImageToTextRequest(), a_picture(64, 64)

    def load(self, settings: RunnerSettings) -> "ImageToTextModel":
        """Load it through transformers."""
        return ImageToTextModel(settings)


KIND = ImageToText()


class ImageToTextModel(OnDevice):
    """One set of weights; each answer has its own memory."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights; takes seconds. Raises whatever transformers does."""
        from transformers import AutoProcessor, BlipForConditionalGeneration
        from transformers.utils import logging as transformers_logging

        super().__init__(settings)
        transformers_logging.disable_progress_bar()
        where: dict[str, Any] = {"revision": settings.revision}
        self._processor: Any = AutoProcessor.from_pretrained(settings.source, **where)
        model: Any = BlipForConditionalGeneration.from_pretrained(settings.source, dtype=self.dtype, **where)
        self._model = model.to(self.device).eval()
        text = model.config.text_config
        self._longest_prompt: int = text.max_position_embeddings - _MAX_NEW_TOKENS
        # A fast tokenizer counts borrowers and fails the second one of a moment.
        self._one_at_a_time = threading.Lock()

    def run(self, fields: ImageToTextRequest, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """The likeliest caption; `seed` changes nothing."""
        import torch

        stop.check()
        picture = decode(upload or b"", max_side=MAX_SIDE)
        with self._one_at_a_time:
            given = self._processor(images=picture, text=fields.prompt or None, return_tensors="pt")
        if (length := _length_of(given)) > self._longest_prompt:
            raise BadFields(f"prompt: {length} tokens, this model takes at most {self._longest_prompt}")
        given = given.to(self.device)
        given["pixel_values"] = given["pixel_values"].to(self.dtype)
        with torch.inference_mode(), memory_errors():
            made = self._model.generate(
                **given,
                max_new_tokens=_MAX_NEW_TOKENS,
                do_sample=False,
                num_beams=1,
                stopping_criteria=[_looks_at(stop)],
            )
        with self._one_at_a_time:
            text: str = self._processor.decode(made[0], skip_special_tokens=True)
        return AiResult({"text": text})


def _length_of(given: Any) -> int:
    return int(given["input_ids"].shape[-1]) if "input_ids" in given else 0


def _looks_at(stop: Stop) -> Any:
    """Raises out of `generate` between two tokens."""
    import torch

    def check(input_ids: torch.Tensor, _scores: Any, **_: Any) -> torch.Tensor:
        stop.check()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    return check
