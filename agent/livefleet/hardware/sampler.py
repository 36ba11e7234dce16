"""Reads the hardware at an interval, in threads with a deadline, and hears what the driver reports meanwhile."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from livefleet.hardware.kernel_log import DriverLoad, KernelLog, KernelXid, LogAccess
from livefleet.hardware.lanes import Lane
from livefleet.hardware.models import Fault, GpuSample, HardwareSnapshot, NvmlFault, XidEvent
from livefleet.hardware.nvml import MOST_DEVICES, Nvml, NvmlAway, Session, snapshot_of
from livefleet.hardware.nvml_ask import printable
from livefleet.hardware.nvml_device import Device
from livefleet.hardware.nvml_events import EventWatch
from livefleet.hardware.readers import Readers
from livefleet.hardware.xids import XidLog, XidSource, same_bus
from livefleet.kernel import Clock

__all__ = ["HardwareSampler"]

log = logging.getLogger(__name__)

_PATIENCE_S = 1.0  # with one device, before the others are read without it
_NOTHING_THERE_S = 60.0  # between looks on a machine without the library
_BETWEEN_WAKES_S = 0.2
_AWAY = (Fault.LOST, Fault.RESET_REQUIRED, Fault.NO_DRIVER, Fault.MISMATCH)


class HardwareSampler:
    """The node's one reader of NVML. Others read `latest` and `xids`.

    `deadline_s`: how long NVML, or one device, may take before its sample says that it hangs.
    `details_every_s`: what changes slowly is read as often; the rest each time.
    `event_wait_ms`: how long one wait for events takes; a session is given up between two.
    `kernel_log`: None leaves it unread.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        every_s: float,
        deadline_s: float = 10.0,
        details_every_s: float = 2.0,
        event_wait_ms: int = 250,
        nvml: Nvml | None = None,
        kernel_log: KernelLog | None = None,
    ) -> None:
        self._clock = clock
        self._every_s = every_s
        self._deadline_s = deadline_s
        self._details_every_s = details_every_s
        self._event_wait_ms = event_wait_ms
        self._nvml = nvml or Nvml()
        self._readers: Readers[GpuSample] = Readers(clock)
        self._pending: asyncio.Future[HardwareSnapshot] | None = None
        self._watch: EventWatch | None = None
        self._watching: Future[None] | None = None
        self._listeners: list[Callable[[HardwareSnapshot], None]] = []
        self._reloads = 0
        self._known: dict[str, str] = {}  # bus of each device that was ever well, by UUID
        self._away: set[str] = set()  # of these, those that were lost or not there since
        self._wake = asyncio.Event()
        self._has_driver = asyncio.Event()
        self.kernel_log = kernel_log
        self.latest: HardwareSnapshot | None = None
        self.xids = XidLog()
        self.xids.on_event(lambda _: self._wake.set())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.wait([self._pending])
        self._nvml.is_over = True
        with contextlib.suppress(TimeoutError):
            if self._readers.is_calling:
                with contextlib.suppress(NvmlAway):
                    await self._readers.call(self._nvml.close, _PATIENCE_S)  # what was begun before
            await self._readers.call(self._nvml.close, _PATIENCE_S)
        # A call stuck in the driver cannot be waited for; its thread ends with it, or with the process.
        self._readers.close()

    @property
    def reads_kernel_log(self) -> bool:
        """Whether the driver's reports of before the start are known, and those that NVML's events miss."""
        return self.kernel_log is not None and self.kernel_log.access is LogAccess.READING

    def on_sample(self, listener: Callable[[HardwareSnapshot], None]) -> None:
        """Call `listener` with every snapshot, on the loop's thread, when it is `latest`."""
        self._listeners.append(listener)

    async def sample(self) -> HardwareSnapshot:
        """Read now. What takes longer than the deadline says so by its fault."""
        if self._pending is None or self._pending.done():
            self._pending = asyncio.ensure_future(self._take())
        return await asyncio.shield(self._pending)

    async def run(self) -> None:
        """Sample until cancelled, at once when the driver reports something."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_kernel_log())
            while True:
                self._wake.clear()
                snapshot = await self.sample()
                nothing_there = snapshot.fault is not None and snapshot.fault.kind is Fault.NO_LIBRARY
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(
                        max(self._every_s, _NOTHING_THERE_S) if nothing_there else self._every_s
                    ):
                        await asyncio.sleep(min(_BETWEEN_WAKES_S, self._every_s))
                        await self._wake.wait()

    async def _take(self) -> HardwareSnapshot:
        now, began = self._clock.now(), self._clock.monotonic()
        try:
            session, devices = await self._readers.call(lambda: self._devices(began), self._deadline_s)
        except TimeoutError:
            self.latest = HardwareSnapshot(now, None, None, (), self._hanging())
        except NvmlAway as away:
            self.latest = HardwareSnapshot(now, None, None, (), away.fault)
        else:
            self.latest = await self._read(now, began, session, devices)
        self._compare(self.latest)
        for listener in self._listeners:
            listener(self.latest)
        return self.latest

    def _devices(self, began: float) -> tuple[Session, list[Device]]:
        """In a thread. Raises NvmlAway."""
        try:
            return self._nvml.devices(began)
        except NvmlAway:
            raise
        except Exception as error:  # whatever the binding does, the agent goes on
            log.exception("gpu.nvml_failed")
            raise NvmlAway(NvmlFault(Fault.OTHER, printable(repr(error)))) from error

    def _one(self, session: Session, device: Device, began: float) -> GpuSample:
        """In a thread."""
        try:
            with session.held():
                return device.read(began, self._details_every_s)
        except NvmlAway as away:
            return device.broken(away.fault)
        except Exception as error:
            log.exception("gpu.not_read", extra={"index": device.index})
            return device.broken(NvmlFault(Fault.OTHER, printable(repr(error))))

    async def _read(self, now: float, began: float, session: Session, devices: list[Device]) -> HardwareSnapshot:
        by_index = {device.index: device for device in devices}
        samples: dict[int, GpuSample] = {}
        await self._readers.read(
            by_index,
            lambda index: self._one(session, by_index[index], began),
            min(_PATIENCE_S, self._deadline_s),
            samples,
        )
        hanging = [index for index in by_index if index not in samples]
        for index in hanging:
            samples[index] = self._unread(by_index[index])
        snapshot = snapshot_of(now, session, [samples[index] for index in by_index])
        self._watch_events(session, devices)
        faults = [sample.fault.kind for sample in snapshot.gpus if sample.fault is not None]
        self._nvml.is_amiss = any(kind is not Fault.HANGING for kind in faults)  # which no other session would end
        if devices and len(hanging) == len(devices) == len(faults):
            return replace(snapshot, fault=self._hanging())
        return snapshot

    def _unread(self, device: Device) -> GpuSample:
        """A device that has not answered is as it was, for so long as it may take."""
        since = self._readers.stuck_since.get(device.index)
        waited_s = 0.0 if since is None else self._clock.monotonic() - since
        known = None if self.latest is None or not device.uuid else self.latest.gpu(device.uuid)
        if known is not None and known.fault is None and waited_s < self._deadline_s:
            return known
        return device.broken(self._hanging())

    def _hanging(self) -> NvmlFault:
        return NvmlFault(Fault.HANGING, f"NVML did not answer within {self._deadline_s:g} s")

    def _watch_events(self, session: Session, devices: list[Device]) -> None:
        """Devices that are well are watched; a watch that hangs is not followed by another."""
        if self._watch is None or self._watch.session is not session:
            if self._watching is not None and not self._watching.done():
                return
            self._watch = EventWatch(
                session, partial(self._tell, asyncio.get_running_loop()), wait_ms=self._event_wait_ms
            )
            lane = Lane("nvml-events")
            self._watching = lane.submit(self._watch.run)
            lane.end()
        for device in devices:
            if device.is_well:
                self._watch.add(device)

    def _tell(self, loop: asyncio.AbstractEventLoop, device: Device, code: int | None) -> None:
        """In the watching thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._heard, device, code)

    def _heard(self, device: Device, code: int | None) -> None:
        device.want_details()
        self._wake.set()
        if code is not None:
            self.xids.add(XidEvent(device.uuid, device.bus, code, self._clock.now()), XidSource.NVML)

    async def _follow_kernel_log(self) -> None:
        """From the time on that there is anything to be reported about."""
        if self.kernel_log is not None:
            await self._has_driver.wait()
            await self.kernel_log.follow(self._reported)

    def _reported(self, found: KernelXid | DriverLoad) -> None:
        if isinstance(found, DriverLoad):
            for name in self.xids.all():
                self.xids.settle(name, found.at)
            return
        uuid, bus = next(((u, b) for u, b in self._known.items() if same_bus(b, found.bus)), ("", found.bus))
        self.xids.add(XidEvent(uuid, bus, found.code, found.at, found.text), XidSource.KERNEL_LOG)

    def _compare(self, after: HardwareSnapshot) -> None:
        """What was reported about a device is over when it is well again after it was away."""
        if after.fault is None or after.fault.kind is not Fault.NO_LIBRARY:
            self._has_driver.set()
        is_away = after.fault is not None and after.fault.kind in _AWAY
        if is_away or self._nvml.reloads != self._reloads:
            self._away.update(self._known)
        self._reloads = self._nvml.reloads
        if after.fault is None:
            self._away.update(self._known.keys() - {gpu.uuid for gpu in after.gpus})
        for gpu in after.gpus:
            if not gpu.uuid:
                continue
            if gpu.fault is not None and gpu.fault.kind in _AWAY:
                self._away.add(gpu.uuid)
            elif gpu.fault is None:
                self._meet(gpu, after.taken_at)

    def _meet(self, gpu: GpuSample, now: float) -> None:
        if gpu.uuid not in self._known and len(self._known) >= MOST_DEVICES:
            forgotten = next(iter(self._known))
            del self._known[forgotten]
            self._away.discard(forgotten)
        if self._known.get(gpu.uuid) != gpu.pci_bus_id:
            self._known[gpu.uuid] = gpu.pci_bus_id
            self.xids.name(gpu.pci_bus_id, gpu.uuid)
        if gpu.uuid in self._away:
            self._away.remove(gpu.uuid)
            self.xids.settle(gpu.uuid, now)
