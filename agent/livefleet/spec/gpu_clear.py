"""GPUs that somebody has taken back, as it stands in a node's state folder. A drain's requests lie beside it."""

import json
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from livefleet.kernel import BadInput
from livefleet.spec.model import SpecModel
from livefleet.spec.state_file import save_state_file

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
    path = state / GPU_CLEAR_FILE
    try:
        return GpuClearings.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return GpuClearings()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path}: {f'{where}: ' if where else ''}{first['msg']}") from error


def save_gpu_clearings(state: Path, clearings: GpuClearings) -> None:
    """Put them in place of the earlier ones. Raises BadInput where this user may not."""
    save_state_file(state / GPU_CLEAR_FILE, json.dumps(clearings.model_dump(), indent=1) + "\n")
