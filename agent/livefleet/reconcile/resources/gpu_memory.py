"""What is remembered of GPUs' health over restarts: a file in the node's state folder, written by the agent alone."""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from livefleet.hardware import Counters, GpuMemory, Latch, Report
from livefleet.spec.state_file import load_state_file, save_state_file

__all__ = [
    "GPU_HEALTH_FILE",
    "lasting",
    "load_gpu_memories",
    "put_gpu_memories_by",
    "save_gpu_memories",
]

GPU_HEALTH_FILE: Final = "gpu-health.json"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # a newer agent may have written more


class _ReportEntry(_Entry):
    code: int
    at: float
    boot: str
    text: str = Field(default="", max_length=1000)


class _LatchEntry(_Entry):
    key: str
    since: float


class _CountersEntry(_Entry):
    corrected: int | None = None
    uncorrected: int | None = None
    replays: int | None = None
    advice: int | None = None
    is_away: bool = False
    energy_mj: int | None = None


class _GpuEntry(_Entry):
    boot: str
    counters: _CountersEntry = _CountersEntry()
    reports: tuple[_ReportEntry, ...] = ()
    settled_at: float = 0.0
    cleared_at: float = 0.0
    aside_since: float | None = None
    comes_and_goes: bool = False
    returns: tuple[float, ...] = ()
    latch: _LatchEntry | None = None


class _GpuHealthFile(_Entry):
    gpus: dict[str, _GpuEntry] = Field(default_factory=dict)  # by UUID


def lasting(memories: Mapping[str, GpuMemory]) -> dict[str, GpuMemory]:
    """What of it is to be found again after a restart: what NVML shows is looked at again. Pure."""
    found = {uuid: replace(memory, spans={}, counters=Counters(), over_since=None) for uuid, memory in memories.items()}
    return {uuid: memory for uuid, memory in found.items() if memory != GpuMemory(boot=memory.boot)}


def load_gpu_memories(state: Path) -> dict[str, GpuMemory]:
    """What an earlier run has left, by UUID. Raises BadInput where a file is there and cannot be read."""
    found = load_state_file(state / GPU_HEALTH_FILE, _GpuHealthFile) or _GpuHealthFile()
    return {
        uuid: GpuMemory(
            boot=entry.boot,
            counters=Counters(**entry.counters.model_dump()),
            reports=tuple(Report(one.code, one.at, one.boot, one.text, is_recalled=True) for one in entry.reports),
            settled_at=entry.settled_at,
            cleared_at=entry.cleared_at,
            aside_since=entry.aside_since,
            comes_and_goes=entry.comes_and_goes,
            returns=entry.returns,
            latch=None if entry.latch is None else Latch(entry.latch.key, entry.latch.since),
        )
        for uuid, entry in found.gpus.items()
    }


def save_gpu_memories(state: Path, memories: Mapping[str, GpuMemory]) -> None:
    """Put what lasts of them in place of what is there, durably. Raises BadInput where that cannot be."""
    file = _GpuHealthFile(gpus={uuid: _entry(memories[uuid]) for uuid in lasting(memories)})
    save_state_file(state / GPU_HEALTH_FILE, file if file.gpus else None)


def _entry(memory: GpuMemory) -> _GpuEntry:
    return _GpuEntry(
        boot=memory.boot,
        counters=_CountersEntry(**asdict(memory.counters)),
        reports=tuple(_ReportEntry(code=one.code, at=one.at, boot=one.boot, text=one.text) for one in memory.reports),
        settled_at=memory.settled_at,
        cleared_at=memory.cleared_at,
        aside_since=memory.aside_since,
        comes_and_goes=memory.comes_and_goes,
        returns=memory.returns,
        latch=None if memory.latch is None else _LatchEntry(key=memory.latch.key, since=memory.latch.since),
    )


def put_gpu_memories_by(state: Path) -> None:
    """Keep a file that cannot be read beside the one that takes its place, for whoever looks into it."""
    path = state / GPU_HEALTH_FILE
    with contextlib.suppress(OSError):
        path.replace(path.with_suffix(".unreadable"))
