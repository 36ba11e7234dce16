"""GPUs that somebody has taken back, as it stands in a node's state folder. A drain's requests lie beside it."""

from pathlib import Path
from typing import Final

from livefleet.spec.model import SpecModel
from livefleet.spec.state_file import load_state_file, save_state_file

__all__ = ["GPU_CLEAR_FILE", "GpuClearings", "load_gpu_clearings", "save_gpu_clearings"]

GPU_CLEAR_FILE: Final = "gpu-clear.json"


class GpuClearings(SpecModel):
    """Who was taken back, and when."""

    at: dict[str, float] = {}
    """Unix seconds, by the GPU's UUID: whatever was reported of it before counts no more."""

    def adding(self, uuid: str, at: float) -> "GpuClearings":
        """With one more; it replaces an earlier one of the same GPU."""
        return GpuClearings(at=self.at | {uuid: at})


def load_gpu_clearings(state: Path) -> GpuClearings:
    """What was taken back. Raises BadInput where the file is there and cannot be read."""
    return load_state_file(state / GPU_CLEAR_FILE, GpuClearings) or GpuClearings()


def save_gpu_clearings(state: Path, clearings: GpuClearings) -> None:
    """Put them in place of the earlier ones. Raises BadInput where this user may not."""
    save_state_file(state / GPU_CLEAR_FILE, clearings)
