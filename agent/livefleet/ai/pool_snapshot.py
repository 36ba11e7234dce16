"""What the pool knows, for operators: a picture of one moment."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from livefleet.ai.load_progress import LoadSnapshot
from livefleet.ai.order_book import OrderSnapshot
from livefleet.hardware import DeviceBook

__all__ = ["JobTimes", "ModelSnapshot", "PoolSnapshot", "Residence"]

_KEPT = 256


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One runner. Bytes are None until they have been measured."""

    pipeline: str
    model_id: str
    device: str
    state: str  # cold, loading, ready, hung, lost, unloaded
    reason: str
    message: str
    declared_warm: bool
    is_warm: bool  # loaded and answering
    pid: int | None
    capacity: int
    in_use: int
    waiting: int  # of these, requests that wait for it to load
    load_s: float | None  # measured last
    loads: int  # since the agent's start
    losses: int  # times its process died, hung or would not load
    evictions: int  # times it gave way to others
    loaded_bytes: int | None
    peak_bytes_by_units: Mapping[int, int]  # beyond the loaded model, by the most units of a request
    expected_bytes: int | None  # what the next load is given
    is_expectation_measured: bool
    jobs: int
    failed_jobs: int
    refused_memory: int  # requests refused before they ran, for want of memory
    out_of_memory: int  # requests that ran out of memory
    p50_s: float | None  # of the last 256 answers
    p95_s: float | None
    silences: int = 0  # times it gave no sign of life, and was not offered meanwhile
    failed_proofs: int = 0
    proved_ago_s: float | None = None  # since it showed last that it works; None while it is not there
    loading: LoadSnapshot | None = None  # how far a load is
    order: OrderSnapshot | None = None  # an operator's request of it


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """All runners, and the books of the devices that they are on."""

    models: tuple[ModelSnapshot, ...]
    devices: tuple[DeviceBook, ...]


@dataclass(slots=True)
class Residence:
    """How often it came and went since the agent's start."""

    loads: int = 0
    losses: int = 0
    evictions: int = 0
    silences: int = 0
    failed_proofs: int = 0


class JobTimes:
    """How long the last answers took."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_KEPT)

    def add(self, seconds: float) -> None:
        """One more."""
        self._seconds.append(seconds)

    def share(self, share: float) -> float | None:
        """The time not exceeded by `share` of them (nearest rank); None before the first."""
        return _nearest(sorted(self._seconds), share)


def _nearest(ordered: Sequence[float], share: float) -> float | None:
    return ordered[max(1, math.ceil(share * len(ordered))) - 1] if ordered else None
