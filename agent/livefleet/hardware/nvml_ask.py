"""Asking NVML so that one call which fails, is not known or answers nonsense costs that one value."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import pynvml

from livefleet.hardware.models import Fault, NvmlFault

__all__ = ["Asker", "fault_of", "printable", "within"]

T = TypeVar("T")

_FAULTS: Final = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: Fault.NO_LIBRARY,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: Fault.NO_DRIVER,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: Fault.MISMATCH,
    pynvml.NVML_ERROR_GPU_IS_LOST: Fault.LOST,
    pynvml.NVML_ERROR_GPU_NOT_FOUND: Fault.LOST,
    pynvml.NVML_ERROR_RESET_REQUIRED: Fault.RESET_REQUIRED,
    pynvml.NVML_ERROR_NO_PERMISSION: Fault.NO_PERMISSION,
    pynvml.NVML_ERROR_OPERATING_SYSTEM: Fault.BLOCKED,
}

# Not known to the device, or to a library of another age: asking again in the same session brings nothing.
_UNKNOWN: Final = {
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    pynvml.NVML_ERROR_DEPRECATED,
    pynvml.NVML_ERROR_VGPU_ECC_NOT_SUPPORTED,
}

# About the device or the driver as a whole, so that nothing else needs to be asked.
_FATAL: Final = {
    pynvml.NVML_ERROR_UNINITIALIZED,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_GPU_NOT_FOUND,
    pynvml.NVML_ERROR_RESET_REQUIRED,
}

_MOST_TEXT = 96  # characters; NVML's own longest name


class Asker:
    """The calls of one device. Used by one thread at a time."""

    def __init__(self) -> None:
        self.trouble: pynvml.NVMLError | None = None
        """The first failure since `begin` that was neither fatal nor for want of knowing the call."""

        self.answers = 0
        """Calls since `begin` that gave something."""

        self._unknown: set[tuple[Any, ...]] = set()

    def begin(self) -> None:
        """Ask about another moment."""
        self.trouble, self.answers = None, 0

    def forget(self) -> None:
        """Ask again what was not known."""
        self._unknown.clear()

    def __call__(self, call: Callable[..., T], handle: Any, *arguments: Any) -> T | None:
        """What the call says, None where it says nothing of use. Raises pynvml.NVMLError where nothing can be asked."""
        key = (call, *arguments)
        if key in self._unknown:
            return None
        try:
            answer = call(handle, *arguments)
        except pynvml.NVMLError as error:
            if error.value in _FATAL:
                raise
            if error.value in _UNKNOWN:
                self._unknown.add(key)
            else:
                self.trouble = self.trouble or error
            return None
        except (ValueError, OverflowError, MemoryError):
            return None  # bytes that are no text, counts that no memory holds
        self.answers += 1
        return answer


def fault_of(error: pynvml.NVMLError) -> NvmlFault:
    """The error by its kind, with the driver's words."""
    try:
        text = str(error)
    except ValueError:  # words that are no text
        text = f"NVML error {error.value}"
    return NvmlFault(_FAULTS.get(error.value, Fault.OTHER), printable(text))


def within(value: Any, low: int, high: int) -> int | None:
    """`value` as it is between these, both included; None where it cannot be right."""
    if value is None:
        return None
    number = int(value)
    return number if low <= number <= high else None


def printable(value: bytes | str | None, most: int = _MOST_TEXT) -> str:
    """Text that fits a label and a line of a log."""
    if value is None:
        return ""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return "".join(character for character in text[:most] if character.isprintable()).strip()
