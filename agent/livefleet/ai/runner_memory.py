"""How much memory a runner process holds, and how much its last job needed at most."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

__all__ = ["MeasuresMemory", "MemoryMeter", "RunnerMemory"]

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"  # resets VmHWM: proc(5), Linux 4.0


@dataclass(frozen=True, slots=True)
class RunnerMemory:
    """Bytes on the model's device: of the GPU what torch has reserved there, on a CPU the process's resident memory."""

    loaded: int  # when the model had loaded and made its first small job
    peak: int  # the most since the last job began that had the process to itself


@runtime_checkable
class MeasuresMemory(Protocol):
    """A loaded model that can tell what it takes of its GPU."""

    def reserved(self) -> int | None:
        """Bytes held now; None on a CPU."""
        ...

    def peak_reserved(self) -> int | None:
        """The most since `forget_peak`; None on a CPU."""
        ...

    def forget_peak(self) -> None:
        """Count the most from now on."""
        ...


class MemoryMeter:
    """The memory of this process and of the model that it loaded."""

    def __init__(self, model: object, *, status: Path = _STATUS, clear_refs: Path = _CLEAR_REFS) -> None:
        """Take what is held now as what the loaded model needs."""
        self._model = model if isinstance(model, MeasuresMemory) else None
        self._status = status
        self._clear_refs = clear_refs
        held = None if self._model is None else self._model.reserved()
        self._loaded = held if held is not None else _resident(status)["VmRSS"]

    def forget_peak(self) -> None:
        """A job begins that has the process to itself. Where the kernel refuses, peaks go on since the start."""
        if self._model is not None:
            self._model.forget_peak()
        with contextlib.suppress(OSError):
            self._clear_refs.write_text(_FORGET_PEAK)

    def read(self) -> RunnerMemory:
        """What is known now."""
        peak = None if self._model is None else self._model.peak_reserved()
        return RunnerMemory(self._loaded, peak if peak is not None else _resident(self._status)["VmHWM"])


def _resident(status: Path) -> Mapping[str, int]:
    """Bytes by the kernel's names: `VmRSS` is held now, `VmHWM` was held at most."""
    lines = (line.split() for line in status.read_text().splitlines() if line.startswith(("VmRSS:", "VmHWM:")))
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}
