"""Models that were distilled to few steps, told by their ids as ai-runner does. Imports no torch."""

import re
from dataclasses import dataclass

__all__ = ["LIGHTNING_BASE", "LIGHTNING_REPOSITORY", "Lightning", "Turbo", "distillation_of"]

LIGHTNING_REPOSITORY = "ByteDance/SDXL-Lightning"
"""Holds a network for each number of steps, and none of the other parts."""

LIGHTNING_BASE = "stabilityai/stable-diffusion-xl-base-1.0"
"""Where those come from."""

_TURBO = frozenset({"stabilityai/sdxl-turbo", "stabilityai/sd-turbo"})
_LIGHTNING_STEPS = re.compile(r"\b([248])step")
_MOST_LIGHTNING_STEPS = 8


@dataclass(frozen=True, slots=True)
class Turbo:
    """Trained without guidance; steps as asked for."""


@dataclass(frozen=True, slots=True)
class Lightning:
    """Trained without guidance and for one number of steps, whatever is asked for."""

    steps: int

    @property
    def network_file(self) -> str:
        """Its network's file in the repository."""
        return f"sdxl_lightning_{self.steps}step_unet.safetensors"


def distillation_of(model_id: str) -> Turbo | Lightning | None:
    """What a model's id says: `ByteDance/SDXL-Lightning-4step`; without a number its eight steps are meant."""
    if model_id in _TURBO:
        return Turbo()
    if LIGHTNING_REPOSITORY not in model_id:
        return None
    steps = _LIGHTNING_STEPS.search(model_id)
    return Lightning(int(steps[1]) if steps else _MOST_LIGHTNING_STEPS)
