"""NVML as a whole: initialised, counted, and initialised anew when something is amiss.

A session is kept, since initialising opens every device. What is lost, came back or was loaded anew shows only in
another one, so a session is given up when a call says so, when the count changes, at an interval while a device is
amiss, and every few minutes. Only the modules `nvml*` of this package import the binding; every call blocks in the
driver and may hang on a sick device: call from a thread.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import pynvml

from livefleet.hardware.models import Fault, GpuSample, HardwareSnapshot, NvmlFault
from livefleet.hardware.nvml_ask import fault_of, printable
from livefleet.hardware.nvml_device import Device

__all__ = ["MOST_DEVICES", "Nvml", "NvmlAway", "Session", "read_snapshot", "snapshot_of"]

T = TypeVar("T")

MOST_DEVICES = 64
"""A count beyond is nonsense; so many are looked at."""

_LET_GO_S = 1.5  # an event wait ends sooner


class NvmlAway(Exception):
    """NVML cannot be asked at all."""

    def __init__(self, fault: NvmlFault) -> None:
        super().__init__(fault.text)
        self.fault = fault


class Session:
    """NVML initialised once. Shared by threads: whoever lets go of it last shuts it down.

    Raises NvmlAway when made.
    """

    def __init__(self, former: Mapping[int, Device]) -> None:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NvmlAway(fault_of(error)) from error
        self._holders = 1
        self._change = threading.Condition()
        self._former = dict(former)
        self.is_given_up = False
        self.devices: dict[int, Device] = {}
        self.driver_version = _driver_version()
        cuda = _told(pynvml.nvmlSystemGetCudaDriverVersion)
        self.cuda_version = (cuda // 1000, cuda % 1000 // 10) if cuda and 0 < cuda < 100_000 else None

    def count(self) -> int:
        """How many devices it lists now, at most MOST_DEVICES. Raises NvmlAway."""
        try:
            return min(int(pynvml.nvmlDeviceGetCount()), MOST_DEVICES)
        except pynvml.NVMLError as error:
            raise NvmlAway(fault_of(error)) from error

    def listed(self) -> list[Device]:
        """The devices, as they were counted first; none of them is asked yet. Raises NvmlAway."""
        if not self.devices:
            self.devices = {index: Device(index, self._former.get(index)) for index in range(self.count())}
        return list(self.devices.values())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep it initialised meanwhile. Raises NvmlAway when it is shut down already."""
        with self._change:
            if self._holders == 0:
                raise NvmlAway(NvmlFault(Fault.OTHER, "the session with NVML is over"))
            self._holders += 1
        try:
            yield
        finally:
            self._let_go()

    def give_up(self, within_s: float = _LET_GO_S) -> None:
        """Nobody is to start anything with it; wait a little for those who are at it."""
        self.is_given_up = True
        self._let_go()
        with self._change:
            self._change.wait_for(lambda: self._holders == 0, within_s)

    def _let_go(self) -> None:
        with self._change:
            self._holders -= 1
            if self._holders == 0:
                with contextlib.suppress(
                    pynvml.NVMLError
                ):  # a driver that went away meanwhile is told by the next look
                    pynvml.nvmlShutdown()
                self._change.notify_all()


class Nvml:
    """The session in use. One thread at a time."""

    def __init__(self, *, renew_s: float = 300.0, renew_amiss_s: float = 15.0) -> None:
        self._renew_s = renew_s
        self._renew_amiss_s = renew_amiss_s
        self._opened_at = 0.0
        self._former: Mapping[int, Device] = {}
        self.session: Session | None = None
        self.is_amiss = False
        """Somebody found a device that is not well: another session may know it again."""

        self.is_over = False
        """Nobody asks any more: what a call that hung opens late is shut down by it."""

        self.reloads = 0
        """Times that a session was of no use any more and another one was: the driver was loaded anew."""

    def devices(self, now: float) -> tuple[Session, list[Device]]:
        """The session to use at `now` (seconds on a clock that only rises) and its devices. Raises NvmlAway."""
        try:
            return self._listed(now)
        finally:
            if self.is_over:
                self.close()

    def close(self) -> None:
        """Give the session up."""
        if self.session is not None:
            self.session.give_up()
            self._former = self.session.devices
            self.session = None

    def _listed(self, now: float) -> tuple[Session, list[Device]]:
        if self.session is not None and now - self._opened_at >= (
            self._renew_amiss_s if self.is_amiss else self._renew_s
        ):
            self.close()
        was_reloaded = False
        if (session := self.session) is not None:
            try:
                was_reloaded = _driver_version() != session.driver_version
                if not was_reloaded and session.count() == len(session.devices):
                    return session, session.listed()
            except NvmlAway:
                was_reloaded = True
        session = self._open(now)
        try:
            devices = session.listed()
        except NvmlAway:
            self.close()
            raise
        self.reloads += was_reloaded
        return session, devices

    def _open(self, now: float) -> Session:
        self.close()
        self.session = Session(self._former)
        self._opened_at = now
        return self.session


def snapshot_of(now: float, session: Session, samples: Sequence[GpuSample]) -> HardwareSnapshot:
    """The whole of it at `now` (unix seconds)."""
    return HardwareSnapshot(now, session.driver_version, session.cuda_version, _by_name(session, samples))


def read_snapshot(now: float) -> HardwareSnapshot:
    """Initialise NVML, read every device whole, shut down again; never raises for what NVML says. Blocks."""
    try:
        session = Session({})
    except NvmlAway as away:
        return HardwareSnapshot(now, None, None, (), away.fault)
    try:
        return snapshot_of(now, session, [device.read(0.0, 0.0) for device in session.listed()])
    except NvmlAway as away:
        return HardwareSnapshot(now, None, None, (), away.fault)
    finally:
        session.give_up()


def _by_name(session: Session, samples: Sequence[GpuSample]) -> tuple[GpuSample, ...]:
    """No UUID twice, and each device that cannot say who it is under the name it had, unless another has that now."""
    found: list[GpuSample] = []
    names = {sample.uuid for sample in samples}
    for sample in samples:
        device = session.devices[sample.index]
        if device.is_absent:
            continue
        if sample.uuid and any(sample.uuid == other.uuid for other in found):
            found.append(_nameless(sample))
        elif sample.fault is not None and not sample.uuid and device.was is not None and device.was.uuid not in names:
            device.take_former()
            names.add(device.was.uuid)
            found.append(device.broken(sample.fault))
        else:
            found.append(sample)
    return tuple(found)


def _nameless(sample: GpuSample) -> GpuSample:
    text = f"the UUID {sample.uuid} is another device's as well"
    return replace(sample, uuid="", fault=NvmlFault(Fault.OTHER, text))


def _driver_version() -> str | None:
    return printable(_told(pynvml.nvmlSystemGetDriverVersion)) or None


def _told(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except (pynvml.NVMLError, ValueError):
        return None
