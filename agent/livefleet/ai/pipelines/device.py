"""The one device of a runner process. Everything here imports torch."""
# torch annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from livefleet.ai.errors import OutOfMemory
from livefleet.ai.settings import CPU, RunnerSettings

if TYPE_CHECKING:
    import torch

__all__ = ["OnDevice", "generator", "memory_errors"]


class OnDevice:
    """What every loaded model has in common: its device, and what is told of it."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Get the device ready."""
        import torch

        torch.set_num_threads(settings.cpu_threads)
        self._uuid = settings.device
        # The process sees exactly one GPU, the declared one.
        self.device = torch.device(CPU if settings.device == CPU else "cuda:0")
        self.dtype: torch.dtype = getattr(torch, settings.dtype)

    def gpu_info(self) -> dict[str, Any]:
        """The GPU as CUDA sees it now."""
        import torch

        if self.device.type == CPU:
            return {}
        properties = torch.cuda.get_device_properties(self.device)
        free, total = torch.cuda.mem_get_info(self.device)
        return {
            "0": {
                "id": self._uuid,
                "name": properties.name,
                "memory_total": total,
                "memory_free": free,
                "major": properties.major,
                "minor": properties.minor,
            }
        }


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise OutOfMemory in place of torch's own, and give back what torch holds unused."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemory(str(error)) from error


def generator(seed: int) -> "torch.Generator":
    """Noise from the CPU on every device, so that a seed means the same result on all of them, up to rounding."""
    import torch

    return torch.Generator().manual_seed(seed)
