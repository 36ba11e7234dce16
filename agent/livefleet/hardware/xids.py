"""What the driver has reported about each device, once for each report, however many ways it came."""

import logging
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from livefleet.hardware.models import XidEvent

__all__ = ["OTHER_CODES", "XidHistory", "XidLog", "XidSource", "same_bus", "slot_of"]

log = logging.getLogger(__name__)

OTHER_CODES = 0
"""Under which codes are counted that are nonsense, or beyond the number told apart on one device."""

_MOST_DEVICES = 64
_MOST_CODES = 64  # told apart on one device; the catalogue has some 150, one device shows a few
_HIGHEST_CODE = 999
_MOST_EVENTS = 256  # kept of a device, the latest
_SAME_WITHIN_S = 10.0  # the kernel log and NVML's event about the same thing come within this
_LOG_AGAIN_S = 60.0
_BUS = re.compile(r"(?:([0-9A-Fa-f]{1,8}):)?([0-9A-Fa-f]{1,2}):([0-9A-Fa-f]{1,2})(?:\.[0-7])?")


class XidSource(Enum):
    """Who told: both tell of the same event where both may be asked."""

    NVML = auto()
    KERNEL_LOG = auto()


@dataclass(frozen=True, slots=True)
class XidHistory:
    """A device's reports, since its machine was started where the kernel log may be read, else since the agent was."""

    counts: Mapping[int, int] = field(default_factory=dict)  # by code; never falls
    last: XidEvent | None = None  # None too once the device was reset or its driver loaded anew
    settled_at: float = 0.0  # unix seconds of that; what was reported before is over


class XidLog:
    """The reports of all devices. One event loop's property; bounded in devices, codes and events."""

    def __init__(self) -> None:
        self._devices: OrderedDict[str, _Device] = OrderedDict()
        self._listeners: list[Callable[[XidEvent], None]] = []

    def on_event(self, listener: Callable[[XidEvent], None]) -> None:
        """Call `listener` with every new report, at once. It may be of before the agent's start: look at its time."""
        self._listeners.append(listener)

    def add(self, event: XidEvent, source: XidSource) -> bool:
        """Take a report in; False if the other source had told it."""
        device = self._device(event.uuid or event.bus)
        if not device.take(event, source):
            return False
        for listener in self._listeners:
            listener(event)
        return True

    def of(self, uuid: str) -> XidHistory:
        """The device's reports; empty for one that has none."""
        device = self._devices.get(uuid)
        return XidHistory() if device is None else device.history()

    def all(self) -> Mapping[str, XidHistory]:
        """Every device that has been reported, by UUID, or by bus where that alone is known."""
        return {name: device.history() for name, device in self._devices.items()}

    def since(self, moment: float, uuid: str | None = None) -> tuple[XidEvent, ...]:
        """The reports of one device, or of all, that are no older than `moment` (unix seconds), the oldest first."""
        devices = self._devices.values() if uuid is None else filter(None, [self._devices.get(uuid)])
        found = [event for device in devices for event in device.events if event.at >= moment]
        return tuple(sorted(found, key=lambda event: event.at))

    def settle(self, uuid: str, at: float) -> None:
        """The device was reset, or its driver loaded anew: what came before is over. Counts stay."""
        if (device := self._devices.get(uuid)) is not None:
            device.settled_at = max(device.settled_at, at)

    def name(self, bus: str, uuid: str) -> None:
        """The device on `bus` is known now: what was kept under its bus is its own."""
        for key in [key for key in self._devices if same_bus(key, bus)]:
            anonymous = self._devices.pop(key)
            self._device(uuid).adopt(anonymous, uuid)

    def _device(self, name: str) -> "_Device":
        device = self._devices.setdefault(name, _Device())
        self._devices.move_to_end(name)
        if len(self._devices) > _MOST_DEVICES:
            self._devices.popitem(last=False)
        return device


class _Device:
    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.events: deque[XidEvent] = deque(maxlen=_MOST_EVENTS)
        self.settled_at = 0.0
        self._unpaired: dict[tuple[XidSource, int], deque[float]] = {}
        self._logged: dict[int, float] = {}

    def history(self) -> XidHistory:
        last = max(self.events, key=lambda event: event.at, default=None)
        is_over = last is not None and last.at <= self.settled_at
        return XidHistory(dict(self.counts), None if is_over else last, self.settled_at)

    def take(self, event: XidEvent, source: XidSource) -> bool:
        code = event.code if 0 < event.code <= _HIGHEST_CODE else OTHER_CODES
        if code not in self.counts and len(self.counts) >= _MOST_CODES:
            code = OTHER_CODES
        if self._is_told(event, source, code):
            self._put_text(event)
            return False
        self.counts[code] = self.counts.get(code, 0) + 1
        self.events.append(event)
        if event.at - self._logged.get(code, 0.0) >= _LOG_AGAIN_S:
            self._logged[code] = event.at
            log.warning("gpu.xid", extra={"gpu": event.uuid or event.bus, "xid": event.code, "text": event.text})
        return True

    def adopt(self, other: "_Device", uuid: str) -> None:
        for code, count in other.counts.items():
            self.counts[code] = self.counts.get(code, 0) + count
        self.events.extend(replace(event, uuid=uuid) for event in other.events)

    def _is_told(self, event: XidEvent, source: XidSource, code: int) -> bool:
        """Whether the other source's report of this is here; each of its reports answers for one."""
        for other in XidSource:
            waiting = self._unpaired.setdefault((other, code), deque(maxlen=_MOST_EVENTS))
            twin = next((at for at in waiting if abs(at - event.at) <= _SAME_WITHIN_S), None)
            if other is not source and twin is not None:
                waiting.remove(twin)
                return True
        self._unpaired[source, code].append(event.at)
        return False

    def _put_text(self, event: XidEvent) -> None:
        """NVML gives a code alone; the kernel log's words for it come a moment later."""
        for place, known in enumerate(self.events):
            is_same = known.code == event.code and abs(known.at - event.at) <= _SAME_WITHIN_S
            if is_same and event.text and not known.text:
                self.events[place] = replace(known, text=event.text)
                return


def same_bus(one: str, other: str) -> bool:
    """Whether two spellings name one slot: `0000:01:00` of the kernel log is NVML's `00000000:01:00.0`."""
    first, second = slot_of(one), slot_of(other)
    return first is not None and first == second


def slot_of(bus: str) -> tuple[int, int, int] | None:
    """Domain, bus and device; None for what is no PCI address."""
    found = _BUS.fullmatch(bus)
    return None if found is None else (int(found[1] or "0", 16), int(found[2], 16), int(found[3], 16))
