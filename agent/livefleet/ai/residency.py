"""What it takes to have a model in memory, and whether a request can wait for that. Pure but for the files' sizes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livefleet.ai.catalogue import Placement, Source, resolve_source
from livefleet.ai.errors import SourceMissing
from livefleet.ai.model_records import ModelRecord
from livefleet.ai.settings import CPU
from livefleet.hardware import Claim
from livefleet.spec import ModelEntry

__all__ = ["Need", "claim_of", "need_of", "size_of", "waits_too_long", "weight_bytes"]

_WEIGHT_SUFFIXES: Final = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".msgpack")

_PROCESS: Final = {True: 600 << 20, False: 700 << 20}
"""What a runner takes before any weights, by whether it is on the CPU: libraries, or the CUDA context."""

_READ_PER_S: Final = 200 << 20
"""Bytes of weights a second, cold from a disk; for the first load only."""

_START_S: Final = 10.0
"""Until the libraries are imported; for the first load only."""


@dataclass(frozen=True, slots=True)
class Need:
    """Memory and time that loading takes."""

    amount: int | None  # bytes; None: nothing is known of it
    load_s: float
    is_estimate: bool  # reckoned, not measured

    def __str__(self) -> str:
        """For operators."""
        size = "an unknown amount" if self.amount is None else f"{self.amount / 2**20:.0f} MiB"
        return f"{'about ' if self.is_estimate else ''}{size}, {self.load_s:.0f} s"


def claim_of(placement: Placement) -> Claim:
    """Whom its memory may displace, and who may displace it."""
    return Claim.WARM_MODEL if placement.entry.warm else Claim.COLD_MODEL


def need_of(placement: Placement, record: ModelRecord, source: Source | None) -> Need:
    """What was measured; else what the operator says or the files' size lets expect."""
    weights = weight_bytes(Path(source.location)) if source is not None and source.is_folder else None
    load_s = record.load_s if record.load_s is not None else _START_S + (weights or 0) / _READ_PER_S
    if record.loaded is not None:
        return Need(record.loaded, load_s, is_estimate=record.load_s is None)
    if placement.entry.memory is not None:
        return Need(placement.entry.memory, load_s, is_estimate=True)
    if weights is None:
        return Need(None, load_s, is_estimate=True)
    return Need(weights + _PROCESS[placement.device == CPU], load_s, is_estimate=True)


def size_of(entry: ModelEntry, state_folder: Path) -> int | None:
    """What an entry may take before anything of it is measured, for choosing its device; None: it cannot be told."""
    if entry.memory is not None:
        return entry.memory
    try:
        source = resolve_source(entry, state_folder)
    except SourceMissing:
        return None
    return weight_bytes(Path(source.location)) if source.is_folder else None


def waits_too_long(need: Need, *, loading_for_s: float, patience_s: float) -> bool:
    """Whether what is left of loading is more than a gateway waits for."""
    return need.load_s - loading_for_s > patience_s


def weight_bytes(folder: Path) -> int | None:
    """Bytes of all weight files below a folder, the largest variant of each counted; None where there are none."""
    found: dict[str, int] = {}
    for where, _, names in os.walk(folder):
        for name in names:
            if name.endswith(_WEIGHT_SUFFIXES):
                # The same weights often lie there twice, as float32 and float16 or in two formats.
                stem = f"{where}/{name.split('.')[0]}"
                found[stem] = max(found.get(stem, 0), (Path(where) / name).stat().st_size)
    return sum(found.values()) or None
