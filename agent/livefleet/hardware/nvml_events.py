"""NVML's events: the driver's reports at the moment they come, waited for in a thread of its own."""

import ctypes
import logging
import queue
from collections.abc import Callable
from typing import Any, Final

import pynvml

from livefleet.hardware.nvml import NvmlAway, Session
from livefleet.hardware.nvml_ask import printable
from livefleet.hardware.nvml_device import Device

__all__ = ["EventWatch"]

log = logging.getLogger(__name__)

_XID: Final = pynvml.nvmlEventTypeXidCriticalError
# Beside reports with a number, what makes another look at the device worth while at once.
_WANTED: Final = (
    _XID
    | pynvml.nvmlEventTypeDoubleBitEccError
    | pynvml.nvmlEventTypeDramRetirementEvent
    | pynvml.nvmlEventTypeDramRetirementFailure
    | pynvml.nvmlEventTypeFatalPoisonError
    | pynvml.nvmlEventTypeGpuUnavailableError
    | pynvml.nvmlEventTypeGpuRecoveryAction
)


class EventWatch:
    """The events of one session's devices.

    `tell(device, xid)` is called in the watching thread; `xid` is None for an event without a number. A watch whose
    calls hang stays behind in its thread: devices go on being read, and the kernel log has the same reports. Between
    waits of `wait_ms` new devices are registered, and the end is looked for.
    """

    def __init__(self, session: Session, tell: Callable[[Device, int | None], None], *, wait_ms: int) -> None:
        self.session = session
        self._tell = tell
        self._wait_ms = wait_ms
        self._coming: queue.SimpleQueue[Device] = queue.SimpleQueue()
        self._asked: set[int] = set()
        self._devices: dict[int, Device] = {}

    def add(self, device: Device) -> None:
        """Watch a device too that was read without trouble. From any one thread; twice is fine."""
        if device.index not in self._asked:
            self._asked.add(device.index)
            self._coming.put(device)

    def run(self) -> None:
        """Watch until the session is given up or NVML takes no more; for the thread."""
        try:
            with self.session.held():
                self._watch()
        except (pynvml.NVMLError, NvmlAway) as error:
            log.info("gpu.events_ended", extra={"text": printable(str(error))})

    def _watch(self) -> None:
        if self.session.is_given_up:
            return
        events = pynvml.nvmlEventSetCreate()
        try:
            while not self.session.is_given_up:
                while not self._coming.empty():
                    self._register(self._coming.get_nowait(), events)
                self._wait(events)
        finally:
            pynvml.nvmlEventSetFree(events)

    def _register(self, device: Device, events: Any) -> None:
        """What the device does not offer is not waited for; one that offers none has the kernel log."""
        try:
            kinds = pynvml.nvmlDeviceGetSupportedEventTypes(device.handle) & _WANTED
            if kinds:
                pynvml.nvmlDeviceRegisterEvents(device.handle, kinds, events)
                self._devices[_address(device.handle)] = device
        except pynvml.NVMLError as error:
            log.info("gpu.no_events", extra={"gpu": device.uuid, "text": printable(str(error))})

    def _wait(self, events: Any) -> None:
        try:
            event = pynvml.nvmlEventSetWait_v2(events, self._wait_ms)
        except pynvml.NVMLError as error:
            if error.value != pynvml.NVML_ERROR_TIMEOUT:
                raise
            return
        device = self._devices.get(_address(event.device))
        if device is not None:
            self._tell(device, int(event.eventData) if event.eventType & _XID else None)


def _address(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
