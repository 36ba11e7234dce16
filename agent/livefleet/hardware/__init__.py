"""What the hardware says, and who may have how much of its memory."""

from livefleet.hardware.ledger import Claim, DeviceBook, Holder, Lease, LeaseView, NoMemory, VramLedger
from livefleet.hardware.memory import CPU_MEMORY, DeviceMemory, MachineMemory, MemoryReading, UncountedMemory
from livefleet.hardware.models import Fault, GpuProcess, GpuSample, HardwareSnapshot, NvmlFault
from livefleet.hardware.nvml import read_snapshot
from livefleet.hardware.sampler import HardwareSampler

__all__ = [
    "CPU_MEMORY",
    "Claim",
    "DeviceBook",
    "DeviceMemory",
    "Fault",
    "GpuProcess",
    "GpuSample",
    "HardwareSampler",
    "HardwareSnapshot",
    "Holder",
    "Lease",
    "LeaseView",
    "MachineMemory",
    "MemoryReading",
    "NoMemory",
    "NvmlFault",
    "UncountedMemory",
    "VramLedger",
    "read_snapshot",
]
