"""The node's GPUs as NVML tells them."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "EccCounts",
    "Fault",
    "GpuProcess",
    "GpuSample",
    "HardwareSnapshot",
    "MigMode",
    "NvmlFault",
    "PcieLink",
    "RemappedRows",
    "XidEvent",
]


class Fault(StrEnum):
    """Why NVML, or one device, gives no answer."""

    NO_LIBRARY = "NoLibrary"  # libnvidia-ml.so.1 is not installed: a machine without an NVIDIA driver
    NO_DRIVER = "DriverNotLoaded"
    MISMATCH = "DriverLibraryMismatch"  # upgraded on disk, old module still loaded: reboot
    LOST = "GpuLost"  # fallen off the bus
    RESET_REQUIRED = "GpuResetRequired"
    NO_PERMISSION = "NoPermission"
    BLOCKED = "BlockedBySystem"  # the operating system refuses: a control group, a locked-down kernel
    HANGING = "NotAnswering"  # a call did not come back in time
    OTHER = "NvmlError"


@dataclass(frozen=True, slots=True)
class NvmlFault:
    """A fault with the driver's own words."""

    kind: Fault
    text: str


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that computes on a device."""

    pid: int  # as the driver's process ids are; a container's own are others
    memory_used: int | None  # bytes; None: the driver does not tell


@dataclass(frozen=True, slots=True)
class EccCounts:
    """Memory errors of a device with ECC switched on. None: this one is not told."""

    volatile_corrected: int | None = None  # since the driver was loaded or the device reset
    volatile_uncorrected: int | None = None
    aggregate_corrected: int | None = None  # of the device's life
    aggregate_uncorrected: int | None = None


@dataclass(frozen=True, slots=True)
class RemappedRows:
    """Rows of memory that a device (Ampere and newer) has replaced by spare ones."""

    correctable: int  # rows, for errors that ECC corrected
    uncorrectable: int
    pending: bool  # the next reset of the device remaps more
    failed: bool  # no spare row is left: the device is to be replaced


@dataclass(frozen=True, slots=True)
class PcieLink:
    """The link to the host. An idle link may be narrower and slower than under load. None: not told."""

    generation: int | None = None
    max_generation: int | None = None  # that device and slot allow together
    width: int | None = None  # lanes
    max_width: int | None = None
    replays: int | None = None  # packets sent again since the driver was loaded


@dataclass(frozen=True, slots=True)
class MigMode:
    """Whether the device is cut into instances, now and after its next reset."""

    current: bool
    pending: bool


@dataclass(frozen=True, slots=True)
class XidEvent:
    """One error report of the driver about one device."""

    uuid: str  # empty where only the bus is known
    bus: str  # as NVML writes it, e.g. `00000000:01:00.0`
    code: int
    at: float  # unix seconds
    text: str = ""  # the kernel log's words; empty while only NVML has told


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One device at one moment. None: the device does not tell."""

    index: int  # NVML's; not stable over reboots
    uuid: str  # empty when the device is too broken to say
    name: str = ""
    pci_bus_id: str = ""
    compute_capability: tuple[int, int] | None = None
    memory_total: int | None = None  # bytes
    memory_used: int | None = None  # bytes, driver's reserve included
    utilization: int | None = None  # percent of the last sampling period in which a kernel ran
    memory_utilization: int | None = None  # percent of it in which its memory was read or written
    encoder_utilization: int | None = None  # percent
    decoder_utilization: int | None = None  # percent
    temperature_c: int | None = None
    power_mw: int | None = None
    processes: tuple[GpuProcess, ...] | None = None
    fault: NvmlFault | None = None
    throttle: int | None = None  # bit mask of clock event reasons, NVML's
    power_limit_mw: int | None = None  # enforced
    clock_sm_mhz: int | None = None
    clock_memory_mhz: int | None = None
    fan_percent: int | None = None
    slowdown_c: int | None = None  # temperature from which the hardware slows its clocks
    shutdown_c: int | None = None  # and from which it switches itself off
    ecc: EccCounts | None = None
    remapped: RemappedRows | None = None
    retired_pages: int | None = None  # for single- and double-bit errors together; cards before Ampere
    retirement_pending: bool | None = None  # the next reset retires more
    pcie: PcieLink | None = None
    persistence: bool | None = None
    mig: MigMode | None = None
    recovery_action: int | None = None  # the driver's advice, NVML's numbers; 0: none
    encoder_sessions: int | None = None
    energy_mj: int | None = None  # drawn since the driver was loaded; Volta and newer


@dataclass(frozen=True, slots=True)
class HardwareSnapshot:
    """All devices at one moment."""

    taken_at: float  # unix seconds
    driver_version: str | None  # e.g. `580.65.06`; None without a working driver
    cuda_version: tuple[int, int] | None  # newest CUDA that the driver can run
    gpus: tuple[GpuSample, ...]
    fault: NvmlFault | None = None  # why there are no devices

    def gpu(self, uuid: str) -> GpuSample | None:
        """The device of that UUID, if present."""
        return next((g for g in self.gpus if g.uuid == uuid), None)
