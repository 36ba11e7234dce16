"""The node's GPUs as NVML tells them."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Fault", "GpuProcess", "GpuSample", "HardwareSnapshot", "NvmlFault"]


class Fault(StrEnum):
    """Why NVML, or one device, gives no answer."""

    NO_LIBRARY = "NoLibrary"  # libnvidia-ml.so.1 is not installed: a machine without an NVIDIA driver
    NO_DRIVER = "DriverNotLoaded"
    MISMATCH = "DriverLibraryMismatch"  # upgraded on disk, old module still loaded: reboot
    LOST = "GpuLost"  # fallen off the bus
    NO_PERMISSION = "NoPermission"
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
