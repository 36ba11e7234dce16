"""Which declared models this node can serve, and on which device."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from livefleet.ai.errors import SourceMissing
from livefleet.ai.settings import CPU
from livefleet.kernel import Condition, Status
from livefleet.spec import ModelEntry

__all__ = [
    "MODEL_PLACED",
    "Catalogue",
    "Placement",
    "Source",
    "Unplaced",
    "place",
    "placement_conditions",
    "resolve_source",
]

MODEL_PLACED = "ModelPlaced"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Placement:
    """A model that can be served."""

    entry: ModelEntry
    device: str  # `cpu` or a GPU's UUID
    dtype: str  # what `auto` came to


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A model that cannot be served as declared."""

    entry: ModelEntry
    reason: str  # CamelCase
    message: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every declared entry, in one list or the other."""

    placed: tuple[Placement, ...]
    unplaced: tuple[Unplaced, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where weights are loaded from."""

    location: str  # folder or hub id
    is_folder: bool  # then nothing is asked of the network
    revision: str | None


def place(entries: Iterable[ModelEntry], gpu_uuids: Sequence[str]) -> Catalogue:
    """Give each entry a device: its own; for `auto` the GPU with the fewest models, or the CPU where there is none."""
    placed: list[Placement] = []
    unplaced: list[Unplaced] = []
    load = Counter(dict.fromkeys(gpu_uuids, 0))
    warmth: dict[tuple[str, str], bool] = {}
    # Entries that name their device come first, so that `auto` sees what they leave.
    for entry in sorted(entries, key=lambda e: e.device == "auto"):
        if warmth.setdefault((entry.pipeline, entry.model_id), entry.warm) is not entry.warm:
            unplaced.append(
                Unplaced(
                    entry, "WarmAndCold", f"{entry.model_id} is declared warm and cold; make all its entries alike"
                )
            )
            continue
        device = min(gpu_uuids, key=lambda uuid: load[uuid], default=CPU) if entry.device == "auto" else entry.device
        if device != CPU and device not in load:
            present = ", ".join(gpu_uuids) or "none"
            unplaced.append(
                Unplaced(entry, "DeviceMissing", f"{entry.model_id} wants GPU {device}; present GPUs: {present}")
            )
            continue
        if device != CPU:
            load[device] += 1
        placed.append(Placement(entry, device, _dtype_of(entry, device)))
    return Catalogue(tuple(placed), tuple(unplaced))


def placement_conditions(catalogue: Catalogue) -> tuple[Condition, ...]:
    """One `ModelPlaced` a model: FALSE when any entry of it found no device."""
    faults: dict[str, list[Unplaced]] = {}
    for fault in catalogue.unplaced:
        faults.setdefault(fault.entry.model_id, []).append(fault)
    good = {p.entry.model_id: p for p in catalogue.placed if p.entry.model_id not in faults}
    return (
        *(
            Condition(MODEL_PLACED, Status.TRUE, "Placed", f"runs on {p.device} as {p.dtype}", model_id, p.entry.warm)
            for model_id, p in good.items()
        ),
        *(
            Condition(
                name=MODEL_PLACED,
                status=Status.FALSE,
                reason=found[0].reason,
                message="; ".join(f.message for f in found),
                subject=model_id,
                gates_ready=any(f.entry.warm for f in found),
            )
            for model_id, found in faults.items()
        ),
    )


def resolve_source(entry: ModelEntry, state: Path) -> Source:
    """Where the weights are now: a folder when one is there (relative: from `state`), else a hub id.

    Raises SourceMissing for a path with nothing at it, or a folder that is no diffusers pipeline.
    """
    name = entry.source or entry.model_id
    folder = state / name
    if entry.source is not None and folder.is_dir():
        if not (folder / "model_index.json").is_file():
            raise SourceMissing(f"{folder} has no model_index.json: not a diffusers pipeline, or not all of it")
        return Source(str(folder), is_folder=True, revision=None)
    if _HUB_ID.fullmatch(name):
        return Source(name, is_folder=False, revision=entry.revision)
    raise SourceMissing(f"no folder {folder}, and {name!r} is no hub id (owner/name)")


def _dtype_of(entry: ModelEntry, device: str) -> str:
    if entry.dtype != "auto":
        return entry.dtype
    return "float32" if device == CPU else "float16"
