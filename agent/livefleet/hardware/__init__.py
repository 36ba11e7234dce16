"""What the hardware says."""

from livefleet.hardware.models import Fault, GpuSample, HardwareSnapshot, NvmlFault
from livefleet.hardware.nvml import read_snapshot
from livefleet.hardware.sampler import HardwareSampler

__all__ = ["Fault", "GpuSample", "HardwareSampler", "HardwareSnapshot", "NvmlFault", "read_snapshot"]
