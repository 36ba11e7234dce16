"""Which GPUs models run on, as peers are told. Source: lp_rpc.proto HardwareInformation, GPUComputeInfo."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from livefleet.ai import Placement
from livefleet.hardware import GpuSample, HardwareSnapshot

__all__ = ["GpuInfo", "ModelHardware", "hardware_of"]


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """One GPU. Zeroes: it does not tell."""

    id: str  # UUID
    name: str
    major: int = 0  # compute capability
    minor: int = 0
    memory_free: int = 0  # bytes
    memory_total: int = 0  # bytes


@dataclass(frozen=True, slots=True)
class ModelHardware:
    """What one model runs on."""

    pipeline: str
    model_id: str
    gpus: Mapping[str, GpuInfo] = field(default_factory=dict)  # by place, "0" for the first; empty: on the CPU


def hardware_of(placements: Iterable[Placement], snapshot: HardwareSnapshot | None) -> tuple[ModelHardware, ...]:
    """One entry a placement, with its GPU as NVML saw it last. Pure."""
    return tuple(
        ModelHardware(
            placement.entry.pipeline.value,
            placement.entry.model_id,
            {} if (gpu := None if snapshot is None else snapshot.gpu(placement.device)) is None else {"0": _info(gpu)},
        )
        for placement in placements
    )


def _info(gpu: GpuSample) -> GpuInfo:
    major, minor = gpu.compute_capability or (0, 0)
    total, used = gpu.memory_total or 0, gpu.memory_used or 0
    return GpuInfo(gpu.uuid, gpu.name, major, minor, memory_free=max(total - used, 0), memory_total=total)
