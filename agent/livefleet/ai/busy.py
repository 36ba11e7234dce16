"""The seam over which it is told how long devices work for models."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

__all__ = ["NOT_COUNTED", "Busy", "BusyMeter"]

Busy = Callable[[], AbstractContextManager[None]]
"""One runner's part of the meter: a block for each job, from its first moment on the device to its last."""

NOT_COUNTED: Final[Busy] = nullcontext


class BusyMeter(Protocol):
    """Whoever keeps the models' accounts (`livefleet.payments.ModelAccounts`)."""

    def busy(self, pipeline: str, model_id: str, device: str, *, is_here: bool) -> AbstractContextManager[None]:
        """A job works on a device while the block lasts; `is_here`: one of this machine."""
        ...
