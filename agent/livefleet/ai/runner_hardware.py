"""What a runner tells of its GPU, in ai-runner's shapes."""

from collections.abc import Mapping
from typing import Any

from livefleet.hardware import GpuSample, HardwareSnapshot

__all__ = ["gpu_info", "gpu_stats"]


def gpu_info(snapshot: HardwareSnapshot, uuid: str) -> Mapping[str, Any]:
    """`gpu_info` of `/hardware/info`: bytes, and the compute capability. Empty without that GPU, as on a CPU."""
    gpu = snapshot.gpu(uuid)
    if gpu is None or gpu.fault is not None:
        return {}
    major, minor = gpu.compute_capability or (0, 0)
    return {"0": _memory(gpu) | {"major": major, "minor": minor}}


def gpu_stats(snapshot: HardwareSnapshot, uuid: str) -> Mapping[str, Any]:
    """`gpu_stats` of `/hardware/stats`: bytes and percent."""
    gpu = snapshot.gpu(uuid)
    if gpu is None or gpu.fault is not None:
        return {}
    use = {"utilization_compute": gpu.utilization or 0, "utilization_memory": gpu.memory_utilization or 0}
    return {"0": _memory(gpu) | use}


def _memory(gpu: GpuSample) -> dict[str, Any]:
    total, used = gpu.memory_total or 0, gpu.memory_used or 0
    return {"id": gpu.uuid, "name": gpu.name, "memory_total": total, "memory_free": total - used}
