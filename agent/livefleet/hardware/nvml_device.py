"""One device through NVML: who it is, what is read each time, and what changes slowly."""

import ctypes
import re
from dataclasses import dataclass
from typing import Any, Final

import pynvml

from livefleet.hardware.models import (
    EccCounts,
    Fault,
    GpuProcess,
    GpuSample,
    MigMode,
    NvmlFault,
    PcieLink,
    RemappedRows,
)
from livefleet.hardware.nvml_ask import Asker, fault_of, printable, within

__all__ = ["Device", "Identity"]

_IDENTITY_EVERY_S = 60.0
"""Also how long a call that a device did not know is left out."""

_MOST_BYTES = 1 << 44
_MOST_MW = 5_000_000
_MOST_MJ = 1 << 53
_MOST_MHZ = 10_000
_MOST_ERRORS = 1 << 48
_MOST_ROWS = 1 << 20
_MOST_PROCESSES = 256  # told of one device
_HOTTEST_C = 200
_UNTOLD_BYTES = (1 << 64) - 1

_UUID = re.compile(r"[!-~]{1,96}")
_BUS = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]")

_FIELDS: Final = (
    pynvml.NVML_FI_DEV_ECC_SBE_VOL_TOTAL,
    pynvml.NVML_FI_DEV_ECC_DBE_VOL_TOTAL,
    pynvml.NVML_FI_DEV_ECC_SBE_AGG_TOTAL,
    pynvml.NVML_FI_DEV_ECC_DBE_AGG_TOTAL,
    pynvml.NVML_FI_DEV_RETIRED_SBE,
    pynvml.NVML_FI_DEV_RETIRED_DBE,
    pynvml.NVML_FI_DEV_RETIRED_PENDING,
    pynvml.NVML_FI_DEV_PCIE_REPLAY_COUNTER,
    pynvml.NVML_FI_DEV_REMAPPED_COR,
    pynvml.NVML_FI_DEV_REMAPPED_UNC,
    pynvml.NVML_FI_DEV_REMAPPED_PENDING,
    pynvml.NVML_FI_DEV_REMAPPED_FAILURE,
    pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION,
)

# By NVML's kind of value: which member of the union holds it.
_MEMBERS: Final = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What does not change while a driver is loaded. None, or empty: not told."""

    uuid: str
    name: str = ""
    bus: str = ""
    capability: tuple[int, int] | None = None
    slowdown_c: int | None = None
    shutdown_c: int | None = None
    max_generation: int | None = None
    max_width: int | None = None


@dataclass(frozen=True, slots=True)
class _Details:
    power_limit_mw: int | None = None
    fan_percent: int | None = None
    ecc: EccCounts | None = None
    remapped: RemappedRows | None = None
    retired_pages: int | None = None
    retirement_pending: bool | None = None
    pcie: PcieLink | None = None
    persistence: bool | None = None
    mig: MigMode | None = None
    recovery_action: int | None = None
    encoder_sessions: int | None = None
    energy_mj: int | None = None


class Device:
    """The device at one index of one session. Every method blocks in the driver; one thread at a time."""

    def __init__(self, index: int, former: "Device | None" = None) -> None:
        self.index = index
        self.handle: Any = None
        self.is_well = False  # it answered last time
        self.is_absent = False  # NVML knows of no device at this index, whatever it counts
        self.known: Identity | None = None
        """Who it says to be; None until it was told."""

        self.was: Identity | None = None if former is None else former.known or former.was
        """Who the device at this index was in the session before."""

        self._ask = Asker()
        self._known_at = 0.0
        self._details = _Details()
        self._details_at: float | None = None

    @property
    def uuid(self) -> str:
        """Empty until it was told."""
        return "" if self.known is None else self.known.uuid

    @property
    def bus(self) -> str:
        """As NVML writes it; empty until it was told."""
        return "" if self.known is None else self.known.bus

    def read(self, now: float, details_every_s: float) -> GpuSample:
        """The device at `now` (seconds on a clock that only rises); never raises for what NVML says."""
        self.is_well = self.is_absent = False
        self._ask.begin()
        try:
            is_named = self._identify(now)
            if self._details_at is None or now - self._details_at >= details_every_s:
                self._details = self._read_details()
                self._details_at = now
            sample = self._read_moment()
        except pynvml.NVMLError as error:
            self.is_absent = self.handle is None and error.value == pynvml.NVML_ERROR_INVALID_ARGUMENT
            self._details_at = None
            return self.broken(fault_of(error))
        if not self._ask.answers and self._ask.trouble is not None:
            return self.broken(fault_of(self._ask.trouble))
        if not self._ask.answers and not is_named:
            return self.broken(NvmlFault(Fault.OTHER, "the device tells nothing, not even its UUID"))
        self.is_well = True
        return sample

    def want_details(self) -> None:
        """Read what changes slowly at the next look too."""
        self._details_at = None

    def broken(self, fault: NvmlFault) -> GpuSample:
        """The device as it is known, with that fault."""
        known = self.known or Identity("")
        return GpuSample(self.index, known.uuid, known.name, known.bus, known.capability, fault=fault)

    def take_former(self) -> None:
        """It cannot say who it is, and nobody else says to be who was here before: it is that one."""
        self.known = self.known or self.was

    def _identify(self, now: float) -> bool:
        """Whether it says who it is now; it is who it was where that call alone fails."""
        if self.handle is None:
            self.handle = pynvml.nvmlDeviceGetHandleByIndex(self.index)
        known, uuid = self.known, printable(self._ask(pynvml.nvmlDeviceGetUUID, self.handle))
        is_named = _UUID.fullmatch(uuid) is not None
        if not is_named:
            if known is None:
                raise self._ask.trouble or pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
            uuid = known.uuid
        if known is None or known.uuid != uuid or now - self._known_at >= _IDENTITY_EVERY_S:
            self._ask.forget()
            self.known = self._read_identity(uuid)
            self._known_at = now
            self._details_at = None
        return is_named

    def _read_identity(self, uuid: str) -> Identity:
        ask, handle = self._ask, self.handle
        capability = ask(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
        parts = () if capability is None else tuple(within(part, 0, 99) for part in capability)
        major, minor = parts if len(parts) == 2 else (None, None)
        pci = ask(pynvml.nvmlDeviceGetPciInfo, handle)
        bus = "" if pci is None else printable(pci.busId)
        return Identity(
            uuid=uuid,
            name=printable(ask(pynvml.nvmlDeviceGetName, handle)),
            bus=bus if _BUS.fullmatch(bus) else "",
            capability=(major, minor) if major and minor is not None else None,
            slowdown_c=self._threshold(pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
            shutdown_c=self._threshold(pynvml.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN),
            max_generation=within(ask(pynvml.nvmlDeviceGetMaxPcieLinkGeneration, handle), 1, 16),
            max_width=within(ask(pynvml.nvmlDeviceGetMaxPcieLinkWidth, handle), 1, 64),
        )

    def _threshold(self, kind: int) -> int | None:
        return within(self._ask(pynvml.nvmlDeviceGetTemperatureThreshold, self.handle, kind), 30, _HOTTEST_C)

    def _read_moment(self) -> GpuSample:
        ask, handle, known, slow = self._ask, self.handle, self.known, self._details
        assert known is not None
        ask.answers = 0  # of this moment; what is slow may have answered before
        memory = ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
        rates = ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
        encoder = ask(pynvml.nvmlDeviceGetEncoderUtilization, handle)
        decoder = ask(pynvml.nvmlDeviceGetDecoderUtilization, handle)
        total = within(memory and memory.total, 1, _MOST_BYTES)
        return GpuSample(
            index=self.index,
            uuid=known.uuid,
            name=known.name,
            pci_bus_id=known.bus,
            compute_capability=known.capability,
            memory_total=total,
            memory_used=None if memory is None or total is None else within(memory.used, 0, total),
            utilization=_percent(rates and rates.gpu),
            memory_utilization=_percent(rates and rates.memory),
            encoder_utilization=_percent(encoder and encoder[0]),
            decoder_utilization=_percent(decoder and decoder[0]),
            temperature_c=self._temperature(),
            power_mw=within(ask(pynvml.nvmlDeviceGetPowerUsage, handle), 0, _MOST_MW),
            processes=self._processes(),
            throttle=self._throttle(),
            power_limit_mw=slow.power_limit_mw,
            clock_sm_mhz=self._clock(pynvml.NVML_CLOCK_SM),
            clock_memory_mhz=self._clock(pynvml.NVML_CLOCK_MEM),
            fan_percent=slow.fan_percent,
            slowdown_c=known.slowdown_c,
            shutdown_c=known.shutdown_c,
            ecc=slow.ecc,
            remapped=slow.remapped,
            retired_pages=slow.retired_pages,
            retirement_pending=slow.retirement_pending,
            pcie=slow.pcie,
            persistence=slow.persistence,
            mig=slow.mig,
            recovery_action=slow.recovery_action,
            encoder_sessions=slow.encoder_sessions,
            energy_mj=slow.energy_mj,
        )

    def _temperature(self) -> int | None:
        value = self._ask(pynvml.nvmlDeviceGetTemperatureV, self.handle, pynvml.NVML_TEMPERATURE_GPU)
        if value is None:  # drivers before r580 know the older call only
            value = self._ask(pynvml.nvmlDeviceGetTemperature, self.handle, pynvml.NVML_TEMPERATURE_GPU)
        return within(value, -40, _HOTTEST_C)

    def _throttle(self) -> int | None:
        value = self._ask(pynvml.nvmlDeviceGetCurrentClocksEventReasons, self.handle)
        if value is None:  # drivers before about r535
            value = self._ask(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, self.handle)
        return within(value, 0, (1 << 32) - 1)

    def _clock(self, kind: int) -> int | None:
        return within(self._ask(pynvml.nvmlDeviceGetClockInfo, self.handle, kind), 0, _MOST_MHZ)

    def _processes(self) -> tuple[GpuProcess, ...] | None:
        """None also where this alone is forbidden or fails: a device without a list of processes is still a device."""
        found = self._ask(_compute_processes, self.handle)
        if found is None:
            return None
        return tuple(GpuProcess(pid, within(used, 0, _MOST_BYTES)) for pid, used in found)

    def _read_details(self) -> _Details:
        ask, handle = self._ask, self.handle
        told = self._fields()
        retired = [told[field] for field in _FIELDS[4:6]]
        mig = ask(pynvml.nvmlDeviceGetMigMode, handle)
        mig_now, mig_next = (None, None) if mig is None else (_flag(mode) for mode in mig)
        stats = ask(pynvml.nvmlDeviceGetEncoderStats, handle)
        return _Details(
            power_limit_mw=within(ask(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle), 1, _MOST_MW),
            fan_percent=within(
                ask(pynvml.nvmlDeviceGetFanSpeed, handle), 0, 150
            ),  # above 100 with some vendors' curves
            ecc=self._ecc(told),
            remapped=self._remapped(told),
            retired_pages=None if None in retired else within(sum(filter(None, retired)), 0, _MOST_ROWS),
            retirement_pending=_flag(told[pynvml.NVML_FI_DEV_RETIRED_PENDING]),
            pcie=self._pcie(told),
            persistence=_flag(ask(pynvml.nvmlDeviceGetPersistenceMode, handle)),
            mig=None if mig_now is None or mig_next is None else MigMode(mig_now, mig_next),
            recovery_action=within(told[pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION], 0, 31),
            encoder_sessions=within(stats and stats[0], 0, 4096),
            energy_mj=within(ask(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle), 0, _MOST_MJ),
        )

    def _fields(self) -> dict[int, int | None]:
        """What one call tells of many counters; None for each that is not told."""
        told: dict[int, int | None] = dict.fromkeys(_FIELDS)
        for value in self._ask(pynvml.nvmlDeviceGetFieldValues, self.handle, _FIELDS) or ():
            member = _MEMBERS.get(value.valueType)
            if value.nvmlReturn == pynvml.NVML_SUCCESS and value.fieldId in told and member is not None:
                told[value.fieldId] = within(getattr(value.value, member), 0, _MOST_ERRORS)
        return told

    def _ecc(self, told: dict[int, int | None]) -> EccCounts | None:
        counts = [told[field] for field in _FIELDS[:4]]
        if counts == [None] * 4:  # a driver or a board that knows these as calls only
            counts = [
                within(self._ask(pynvml.nvmlDeviceGetTotalEccErrors, self.handle, kind, counter), 0, _MOST_ERRORS)
                for counter in (pynvml.NVML_VOLATILE_ECC, pynvml.NVML_AGGREGATE_ECC)
                for kind in (pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)
            ]
        return None if counts == [None] * 4 else EccCounts(*counts)

    def _remapped(self, told: dict[int, int | None]) -> RemappedRows | None:
        rows: list[Any] = [told[field] for field in _FIELDS[8:12]]
        if rows == [None] * 4:
            rows = list(self._ask(pynvml.nvmlDeviceGetRemappedRows, self.handle) or rows)
        right, wrong = (within(count, 0, _MOST_ROWS) for count in rows[:2])
        pending, failed = (_flag(flag) for flag in rows[2:])
        if right is None or wrong is None or pending is None or failed is None:
            return None
        return RemappedRows(right, wrong, pending, failed)

    def _pcie(self, told: dict[int, int | None]) -> PcieLink | None:
        ask, handle, known = self._ask, self.handle, self.known
        assert known is not None
        replays = told[pynvml.NVML_FI_DEV_PCIE_REPLAY_COUNTER]
        if replays is None:
            replays = ask(pynvml.nvmlDeviceGetPcieReplayCounter, handle)
        link = PcieLink(
            generation=within(ask(pynvml.nvmlDeviceGetCurrPcieLinkGeneration, handle), 1, 16),
            max_generation=known.max_generation,
            width=within(ask(pynvml.nvmlDeviceGetCurrPcieLinkWidth, handle), 1, 64),
            max_width=known.max_width,
            replays=within(replays, 0, (1 << 31) - 1),
        )
        return None if link == PcieLink() else link


def _percent(value: int | None) -> int | None:
    return within(value, 0, 100)


def _flag(value: int | None) -> bool | None:
    number = within(value, 0, 1)
    return None if number is None else bool(number)


def _compute_processes(handle: Any) -> list[tuple[int, int | None]]:
    """Process ids and bytes, in one call with fixed room: the binding's own makes as much as NVML asks for."""
    room = (pynvml.c_nvmlProcessInfo_v2_t * _MOST_PROCESSES)()
    count = ctypes.c_uint(_MOST_PROCESSES)
    call = getattr(pynvml.nvmlLib, "nvmlDeviceGetComputeRunningProcesses_v3", None)
    if call is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    if code := call(handle, ctypes.byref(count), room):
        raise pynvml.NVMLError(code)
    found = room[: min(count.value, _MOST_PROCESSES)]
    return [(p.pid, None if p.usedGpuMemory == _UNTOLD_BYTES else p.usedGpuMemory) for p in found]
