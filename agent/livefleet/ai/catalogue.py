"""Which declared models this node can serve, and on which device."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livefleet.ai.errors import SourceMissing
from livefleet.ai.settings import CPU
from livefleet.ai.weight_files import folder_fault
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

_UNKNOWN_SIZE: Final = 6 << 30
"""What a model is taken to need while nobody knows: about an SDXL in float16."""

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
    controlnet: str | None = None  # where an entry's further weights are; None: what the entry says itself
    safety_checker: str | None = None


def place(
    entries: Iterable[ModelEntry],
    gpu_uuids: Sequence[str],
    *,
    room: Mapping[str, int] | None = None,
    size_of: Callable[[ModelEntry], int | None] = lambda _: None,
) -> Catalogue:
    """Give each entry a device: its own; for `auto` the GPU with the most room left, or the CPU where there is none.

    `room`: free bytes by GPU; None: all have the same. `size_of`: bytes that an entry takes, None where nobody knows.
    What is placed may still have to wait for memory, or for others to leave.
    """
    placed: list[Placement] = []
    unplaced: list[Unplaced] = []
    left = {uuid: (room or {}).get(uuid, 0) for uuid in gpu_uuids}
    warmth: dict[tuple[str, str], bool] = {}
    # Entries that name their device come first, so that `auto` sees what they leave; then whoever matters more.
    for entry in sorted(entries, key=lambda e: (e.device == "auto", -e.priority)):
        if warmth.setdefault((entry.pipeline, entry.model_id), entry.warm) is not entry.warm:
            unplaced.append(
                Unplaced(
                    entry, "WarmAndCold", f"{entry.model_id} is declared warm and cold; make all its entries alike"
                )
            )
            continue
        if entry.url is not None:
            placed.append(Placement(entry, CPU, _dtype_of(entry, CPU)))  # its memory is elsewhere
            continue
        device = max(left, key=lambda uuid: left[uuid], default=CPU) if entry.device == "auto" else entry.device
        if device != CPU and device not in left:
            present = ", ".join(gpu_uuids) or "none"
            unplaced.append(
                Unplaced(entry, "DeviceMissing", f"{entry.model_id} wants GPU {device}; present GPUs: {present}")
            )
            continue
        if device != CPU:
            left[device] -= size_of(entry) or _UNKNOWN_SIZE
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

    Raises SourceMissing for a path with nothing at it, or a folder that the pipeline cannot load.
    """
    name = entry.source or entry.model_id
    folder = state / name
    if entry.source is not None and folder.is_dir():
        if (fault := folder_fault(entry.pipeline, folder)) is not None:
            raise SourceMissing(fault)
        return Source(str(folder), is_folder=True, revision=None)
    if _HUB_ID.fullmatch(name):
        return Source(name, is_folder=False, revision=entry.revision)
    raise SourceMissing(f"no folder {folder}, and {name!r} is no hub id (owner/name)")


def _dtype_of(entry: ModelEntry, device: str) -> str:
    if entry.dtype != "auto":
        return entry.dtype
    return "float32" if device == CPU else "float16"
