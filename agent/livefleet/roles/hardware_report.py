"""What the hardware says now, for /status: numbers as NVML gives them."""

from typing import Any

from livefleet.hardware import HardwareSnapshot

__all__ = ["hardware_part"]


def hardware_part(snapshot: HardwareSnapshot | None) -> dict[str, Any]:
    """The last sample; empty where there is no driver."""
    if snapshot is None or (snapshot.driver_version is None and not snapshot.gpus):
        return {}
    return {
        "driver_version": snapshot.driver_version,
        "taken_at": snapshot.taken_at,
        "fault": None if snapshot.fault is None else snapshot.fault.text,
        "devices": [
            {
                "gpu": gpu.uuid or f"index {gpu.index}",
                "name": gpu.name,
                "memory_total": gpu.memory_total,
                "memory_used": gpu.memory_used,
                "utilization": gpu.utilization,
                "encoder_utilization": gpu.encoder_utilization,
                "decoder_utilization": gpu.decoder_utilization,
                "encoder_sessions": gpu.encoder_sessions,
                "temperature_c": gpu.temperature_c,
                "power_mw": gpu.power_mw,
                "power_limit_mw": gpu.power_limit_mw,
                "fault": None if gpu.fault is None else gpu.fault.text,
            }
            for gpu in snapshot.gpus
        ],
    }
