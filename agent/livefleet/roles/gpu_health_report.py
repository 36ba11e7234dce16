"""How the GPUs are, for /status and /metrics."""

from collections.abc import Iterable
from typing import Any

from livefleet.hardware import GpuState
from livefleet.health import Reading
from livefleet.reconcile.resources import GpuStanding

__all__ = ["gpu_health_part", "gpu_health_readings"]


def gpu_health_part(standings: Iterable[GpuStanding]) -> list[dict[str, Any]]:
    """Each GPU with all that is wrong with it, the worst first."""
    return [
        {
            "gpu": one.uuid,
            "state": one.verdict.state.value,
            "reason": one.verdict.reason,
            "text": one.verdict.text,
            "advice": one.verdict.advice,
            "since": one.verdict.since or None,
            "back_in_s": None if one.verdict.back_in_s is None else round(one.verdict.back_in_s, 1),
            "times_aside": one.times_aside,
            "cleared_at": one.cleared_at,
            "signs": [
                {
                    "sign": sign.key,
                    "state": sign.state.value,
                    "reason": sign.reason,
                    "text": sign.text,
                    "advice": sign.advice,
                    "since": sign.since,
                    "ends": sign.ends.value,
                }
                for sign in one.verdict.signs
            ],
        }
        for one in standings
    ]


def gpu_health_readings(standings: Iterable[GpuStanding]) -> list[Reading]:
    """A series a state and GPU, so that alerts can name a state, and one for each sign while it stands."""
    readings: list[Reading] = []
    for one in standings:
        gpu = {"gpu": one.uuid}
        for state in GpuState:
            is_it = float(one.verdict.state is state)
            labels = gpu | {"state": state.value}
            readings.append(("livefleet_gpu_state", "gauge", "1 for the state that it is in.", labels, is_it))
        readings.append(
            ("livefleet_gpu_set_aside_total", "counter", "Times that it was given no more work.", gpu, one.times_aside)
        )
        readings += [
            ("livefleet_gpu_sign", "gauge", "1 while it stands.", gpu | {"sign": sign.key}, 1.0)
            for sign in one.verdict.signs
        ]
    return readings
