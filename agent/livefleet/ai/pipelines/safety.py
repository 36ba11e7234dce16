"""Looking for pictures that are not safe for work: by the model's own checker, or by one that the operator names."""
# diffusers annotates half of its functions and hides some of its names.
# mypy: disable-error-code="no-untyped-call,attr-defined"

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from livefleet.ai.settings import RunnerSettings

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

__all__ = ["SafetyCheck"]


class SafetyCheck:
    """Pictures are flagged by the request's wish, always, or never. Without a checker nothing is ever flagged."""

    def __init__(self, checker: Any, extractor: Any, *, forced: bool) -> None:
        self._checker = checker  # None: there is none
        self._extractor = extractor
        self._forced = forced

    @classmethod
    def taken_from(cls, pipeline: Any, settings: RunnerSettings, device: "torch.device") -> Self:
        """Take a pipeline's own checker out of it, or load the named one where it has none.

        Diffusers would run its own on every picture, whoever shares the pipeline.
        """
        checker = getattr(pipeline, "safety_checker", None)
        extractor = getattr(pipeline, "feature_extractor", None)
        if checker is not None:
            pipeline.register_modules(safety_checker=None)
        forced = settings.safety_check == "forced"
        if settings.safety_check is False:
            return cls(None, None, forced=False)
        if settings.safety_checker is not None:
            checker, extractor = _load(settings.safety_checker, pipeline.dtype, device)
        if forced and checker is None:
            raise ValueError("safety_check is forced, but the model has no checker: name one by `safety_checker`")
        return cls(checker, extractor, forced=forced)

    def flags(self, pictures: Sequence["Image"], *, wanted: bool) -> list[bool]:
        """Which pictures are not safe; none when no check is to be made."""
        if self._checker is None or not (wanted or self._forced):
            return [False] * len(pictures)
        import numpy as np
        import torch

        features = self._extractor(list(pictures), return_tensors="pt").pixel_values
        features = features.to(self._checker.device, self._checker.dtype)
        with torch.no_grad():
            # It blackens what it flags in the arrays that it is given; the pictures are its caller's to hide.
            _, found = self._checker(images=[np.array(p) for p in pictures], clip_input=features)
        return [bool(flag) for flag in found]


def _load(source: str, dtype: "torch.dtype", device: "torch.device") -> tuple[Any, Any]:
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPImageProcessor

    checker: Any = StableDiffusionSafetyChecker.from_pretrained(source, dtype=dtype)
    return checker.to(device).eval(), CLIPImageProcessor.from_pretrained(source)
