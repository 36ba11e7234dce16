"""What the hardware says, and who may have how much of its memory."""

from livefleet.hardware.aside import Aside, DevicesAside
from livefleet.hardware.kernel_log import KernelLog, LogAccess
from livefleet.hardware.ledger import Claim, DeviceBook, Holder, Lease, LeaseView, NoMemory, VramLedger
from livefleet.hardware.memory import CPU_MEMORY, DeviceMemory, MachineMemory, MemoryReading, UncountedMemory
from livefleet.hardware.models import (
    EccCounts,
    Fault,
    GpuProcess,
    GpuSample,
    HardwareSnapshot,
    MigMode,
    NvmlFault,
    PcieLink,
    RemappedRows,
    XidEvent,
)
from livefleet.hardware.nvml import Nvml, read_snapshot
from livefleet.hardware.policy import GpuLook, GpuVerdict, Sign, cleared, judge
from livefleet.hardware.policy_memory import Counters, GpuMemory, Latch, Report, Span
from livefleet.hardware.policy_rows import DAMPING, Ends, Facet, GpuState
from livefleet.hardware.policy_signs import SIGN_OF_FAULT, SIGN_ROWS, sign_row
from livefleet.hardware.policy_xid import OTHER_XID, RECOVERY, XID_ROWS
from livefleet.hardware.sampler import HardwareSampler
from livefleet.hardware.xids import OTHER_CODES, XidHistory, XidLog, XidSource

__all__ = [
    "CPU_MEMORY",
    "DAMPING",
    "OTHER_CODES",
    "OTHER_XID",
    "RECOVERY",
    "SIGN_OF_FAULT",
    "SIGN_ROWS",
    "XID_ROWS",
    "Aside",
    "Claim",
    "Counters",
    "DeviceBook",
    "DeviceMemory",
    "DevicesAside",
    "EccCounts",
    "Ends",
    "Facet",
    "Fault",
    "GpuLook",
    "GpuMemory",
    "GpuProcess",
    "GpuSample",
    "GpuState",
    "GpuVerdict",
    "HardwareSampler",
    "HardwareSnapshot",
    "Holder",
    "KernelLog",
    "Latch",
    "Lease",
    "LeaseView",
    "LogAccess",
    "MachineMemory",
    "MemoryReading",
    "MigMode",
    "NoMemory",
    "Nvml",
    "NvmlFault",
    "PcieLink",
    "RemappedRows",
    "Report",
    "Sign",
    "Span",
    "UncountedMemory",
    "VramLedger",
    "XidEvent",
    "XidHistory",
    "XidLog",
    "XidSource",
    "cleared",
    "judge",
    "read_snapshot",
    "sign_row",
]
