"""GPUs as samples, without NVML."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from livefleet.hardware import (
    EccCounts,
    GpuSample,
    HardwareSnapshot,
    MigMode,
    PcieLink,
    RemappedRows,
    XidEvent,
    XidLog,
    XidSource,
)

BUS = "00000000:01:00.0"


def a_gpu(uuid: str = "GPU-aaaaaaaa-0000-0000-0000-000000000001", index: int = 0, **fields: Any) -> GpuSample:
    """A well device that tells everything."""
    told: dict[str, Any] = {
        "name": "NVIDIA L4", "pci_bus_id": BUS, "compute_capability": (8, 9), "memory_total": 24 << 30,
        "memory_used": 1 << 30, "utilization": 5, "memory_utilization": 1, "encoder_utilization": 0,
        "decoder_utilization": 0, "temperature_c": 45, "power_mw": 30_000, "processes": (), "throttle": 1,
        "power_limit_mw": 72_000, "clock_sm_mhz": 2040, "clock_memory_mhz": 6251, "fan_percent": 30, "slowdown_c": 95,
        "shutdown_c": 98, "ecc": EccCounts(0, 0, 0, 0), "remapped": RemappedRows(0, 0, pending=False, failed=False),
        "retired_pages": 0, "retirement_pending": False, "pcie": PcieLink(4, 4, 16, 16, 0), "persistence": True,
        "mig": MigMode(current=False, pending=False), "recovery_action": 0, "encoder_sessions": 0,
        "energy_mj": 5_000_000,
    }  # fmt: skip
    return GpuSample(index, uuid, **told | fields)


@dataclass
class SomeHardware:
    """What the sampler shows of it."""

    latest: HardwareSnapshot | None
    xids: XidLog = field(default_factory=XidLog)
    reads_kernel_log: bool = True


def some_hardware(*gpus: GpuSample, xids: Iterable[int] = ()) -> SomeHardware:
    """These devices, the first of which has reported these codes."""
    hardware = SomeHardware(HardwareSnapshot(0.0, "580.1", (13, 0), gpus))
    for moment, code in enumerate(xids):
        event = XidEvent(gpus[0].uuid, gpus[0].pci_bus_id, code, 1000.0 + moment)
        hardware.xids.add(event, XidSource.NVML)
    return hardware
