"""Masks of what a picture shows at given places, through transformers' SAM 2."""
# transformers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import JobFields, ModelId
from livefleet.ai.pictures import bounded_size_of
from livefleet.ai.pipelines.device import OnDevice, memory_errors
from livefleet.ai.pipelines.mask_prompts import MaskPrompts, mask_prompts
from livefleet.ai.pipelines.picture_kinds import PictureKind
from livefleet.ai.pipelines.pictures import a_picture, decode
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

__all__ = ["KIND"]

_MAX_SIDE = 4096
_MAX_PIXELS = 2048 * 1088
"""Answers tell every pixel of three masks in words, about 20 bytes each: 130 MB for a picture of this size."""

_MAX_LOGIT = 32.0
"""What logits are cut to, either way, as SAM 2 itself gives them."""

# The colours that SAM 2 was trained on, of ImageNet.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)

_Array = Annotated[str, Field(max_length=2_000_000)]


class SegmentAnything2Request(JobFields):
    """A request, to an orchestrator and to a runner alike. Arrays are text, as multipart brings them."""

    model_id: ModelId = ""
    point_coords: _Array = ""
    point_labels: _Array = ""
    box: _Array = ""
    mask_input: _Array = ""
    multimask_output: bool = True
    return_logits: bool = True
    normalize_coords: bool = True
    """Coordinates are pixels, which are to be normalized; false: they are shares of the sides already."""

    def prompts(self) -> MaskPrompts:
        """The arrays. Raises ValueError with the text for the client."""
        return mask_prompts(self.point_coords, self.point_labels, self.box, self.mask_input)


class SegmentAnything2(PictureKind[SegmentAnything2Request]):
    """Billed by the pixel of the picture."""

    pipeline = Pipeline.SEGMENT_ANYTHING_2
    title = "segment anything 2"
    fields = SegmentAnything2Request
    runner_fields = SegmentAnything2Request
    out_of_memory = "Out of memory error. Try reducing input image resolution."
    failed = "Segment-anything-2 pipeline error."

    def fault(self, fields: SegmentAnything2Request, upload: bytes | None) -> str | None:
        """Arrays that are none, and pictures that are none or too large."""
        try:
            fields.prompts()
        except ValueError as error:
            return str(error)
        return super().fault(fields, upload)

    def size(self, upload: bytes | None) -> tuple[int, int]:
        """(width, height), bounded by what an answer may take."""
        return bounded_size_of(upload or b"", max_side=_MAX_SIDE, max_pixels=_MAX_PIXELS)

    def units(self, fields: SegmentAnything2Request, upload: bytes | None) -> int:
        """Pixels of the picture."""
        width, height = self.size(upload)
        return width * height

    def proof(self, settings: RunnerSettings) -> tuple[SegmentAnything2Request, bytes]:
        """The middle of a grey square."""
        return SegmentAnything2Request(point_coords="[[32, 32]]", point_labels="[1]"), a_picture(64, 64)

    def load(self, settings: RunnerSettings) -> "SegmentAnything2Model":
        """Load it through transformers."""
        return SegmentAnything2Model(settings)


KIND = SegmentAnything2()


class SegmentAnything2Model(OnDevice):
    """One set of weights, which any number of requests read at once."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights; takes seconds. Raises whatever transformers does."""
        from transformers import Sam2Model
        from transformers.utils import logging as transformers_logging

        super().__init__(settings)
        transformers_logging.disable_progress_bar()
        where: dict[str, Any] = {"revision": settings.revision}
        model: Any = Sam2Model.from_pretrained(settings.source, dtype=self.dtype, **where)
        self._model = model.to(self.device).eval()
        self._side: int = model.config.prompt_encoder_config.image_size

    def run(self, fields: SegmentAnything2Request, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Masks, the best first; `seed` changes nothing."""
        import torch

        stop.check()
        picture = decode(upload or b"", max_side=_MAX_SIDE)
        with torch.inference_mode(), memory_errors():
            seen = self._model.get_image_embeddings(self._pixels(picture))
            stop.check()
            output = self._model(
                image_embeddings=seen,
                multimask_output=fields.multimask_output,
                **self._shown(fields, picture),
            )
            scores, order = output.iou_scores[0, 0].float().cpu().sort(descending=True)
            logits = output.pred_masks[0, 0].float().cpu()[order]
            masks = _enlarged(logits, height=picture.height, width=picture.width)
            if not fields.return_logits:
                masks = (masks > 0).float()
            logits = logits.clamp(-_MAX_LOGIT, _MAX_LOGIT)
        stop.check()
        return AiResult({"masks": _text(masks), "scores": _text(scores), "logits": _text(logits)})

    def _pixels(self, picture: "Image") -> "torch.Tensor":
        """[1, 3, side, side]: the picture in the size and the colours that the model knows."""
        import numpy as np
        import torch

        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float().div(255)
        mean, deviation = (torch.tensor(three).view(3, 1, 1) for three in (_MEAN, _DEVIATION))
        sized = _resized(pixels.unsqueeze(0), (self._side, self._side), antialias=True)
        return ((sized - mean) / deviation).to(self.device, self.dtype)

    def _shown(self, fields: SegmentAnything2Request, picture: "Image") -> dict[str, Any]:
        """The prompts as the model takes them: of one picture and one object, in pixels of the model's own size."""
        import torch

        prompts, shown = fields.prompts(), {}
        width, height = picture.size if fields.normalize_coords else (1, 1)
        scale = torch.tensor([self._side / width, self._side / height])

        def placed(places: Any, *shape: int) -> torch.Tensor:
            # In full precision: half of it cannot tell two neighbouring pixels of 1024 apart.
            return (torch.tensor(places).view(-1, 2) * scale).view(*shape).to(self.device)

        if prompts.points:
            shown["input_points"] = placed(prompts.points, 1, 1, -1, 2)
            shown["input_labels"] = torch.tensor(prompts.labels, device=self.device).view(1, 1, -1)
        if prompts.box:
            shown["input_boxes"] = placed(prompts.box, 1, 1, 4)
        if prompts.mask:
            shown["input_masks"] = torch.tensor(prompts.mask).to(self.device, self.dtype)[None, None]
        return shown


def _enlarged(logits: "torch.Tensor", *, height: int, width: int) -> "torch.Tensor":
    """[masks, height, width] of the picture."""
    return _resized(logits.unsqueeze(0), (height, width), antialias=False)[0]


def _resized(tensor: "torch.Tensor", size: tuple[int, int], *, antialias: bool) -> "torch.Tensor":
    from torch.nn.functional import interpolate

    return interpolate(tensor, size=size, mode="bilinear", align_corners=False, antialias=antialias)


def _text(tensor: "torch.Tensor") -> str:
    """Nested lists, as Python writes them: row by row, because nothing else of the process runs while it writes one."""
    if tensor.dim() < 2:
        return str(tensor.tolist())
    return f"[{', '.join(_text(row) for row in tensor)}]"
