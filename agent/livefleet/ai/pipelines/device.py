"""The one device of a runner process. Everything here imports torch."""
# torch annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
        # The process sees exactly one GPU, the declared one.
        self.device = torch.device(CPU if settings.device == CPU else "cuda:0")
        self.dtype: torch.dtype = getattr(torch, settings.dtype)

    def reserved(self) -> int | None:
        """Bytes of the GPU that torch holds now; None on a CPU."""
        import torch

        return None if self.device.type == CPU else torch.cuda.memory_reserved(self.device)

    def peak_reserved(self) -> int | None:
        """The most since `forget_peak`."""
        import torch

        return None if self.device.type == CPU else torch.cuda.max_memory_reserved(self.device)

    def forget_peak(self) -> None:
        """Count the most from now on."""
        import torch

        if self.device.type != CPU:
            torch.cuda.reset_peak_memory_stats(self.device)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise OutOfMemory in place of torch's own, and give back what torch holds unused."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemory(str(error)) from error
    except MemoryError as error:
        raise OutOfMemory("the host's memory did not suffice") from error
    except RuntimeError as error:
        # torch has no class of its own for a CPU's memory.
        if "can't allocate memory" not in str(error):
            raise
        raise OutOfMemory(str(error)) from error


def generator(seed: int) -> "torch.Generator":
    """Noise from the CPU on every device, so that a seed means the same result on all of them, up to rounding."""
    import torch

    return torch.Generator().manual_seed(seed)
