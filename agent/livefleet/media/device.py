"""What transcoding runs on."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CPU", "Device", "DeviceKind"]


class DeviceKind(StrEnum):
    """Which encoders a device uses."""

    CPU = "cpu"
    NVIDIA = "nvidia"


@dataclass(frozen=True, slots=True)
class Device:
    """One place where segments are transcoded; each gets a process of its own."""

    id: str  # `cpu`, or the GPU's UUID as NVML tells it (`GPU-...`)
    kind: DeviceKind = DeviceKind.CPU
    slots: int = 0  # segments at once; 0: one a usable core on a CPU, 4 on a GPU

    @property
    def encoder(self) -> str:
        """The H.264 encoder that must open for the device to be of use."""
        return "h264_nvenc" if self.kind is DeviceKind.NVIDIA else "libx264"

    def environment(self) -> dict[str, str]:
        """What the device's process needs in its environment: CUDA sees one GPU, by UUID, as device 0."""
        return {"CUDA_VISIBLE_DEVICES": self.id if self.kind is DeviceKind.NVIDIA else ""}


CPU = Device("cpu")
