"""What loading and running each model took when it was measured last, kept over restarts."""

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError

from livefleet.ai.catalogue import Placement
from livefleet.ai.jobs import AiJob

__all__ = ["RECORDS_FILE", "ModelRecord", "ModelRecords", "size_class"]

log = logging.getLogger(__name__)

RECORDS_FILE: Final = "ai-models-measured.json"


def size_class(job: AiJob) -> int:
    """Which requests of a model need about the same memory: those billed up to the same power of two of units."""
    return 1 << max(0, job.units - 1).bit_length()


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model in one type on one device."""

    load_s: float | None = None  # from the start of the process to its first answer
    loaded: int | None = None  # bytes, when it had made its first small job
    peaks: Mapping[int, int] = field(default_factory=dict)  # bytes beyond `loaded`, by size class

    def peak(self, size: int) -> int:
        """What a request needs beyond the loaded model; of a size never measured in proportion to its neighbours.

        0 where nothing is known.
        """
        if size in self.peaks:
            return self.peaks[size]
        smaller = max((known for known in self.peaks if known < size), default=None)
        larger = min((known for known in self.peaks if known > size), default=None)
        if smaller is None:
            return 0 if larger is None else self.peaks[larger] * size // larger
        scaled = self.peaks[smaller] * size // smaller
        return scaled if larger is None else min(scaled, self.peaks[larger])


class ModelRecords:
    """The book of measurements. `folder` None: kept in memory only. One event loop's property.

    A file that cannot be read is as good as none: everything is measured again.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / RECORDS_FILE
        self._records = {} if self._path is None else _read(self._path)

    def of(self, placement: Placement) -> ModelRecord:
        """What is known; empty for a model that was never loaded here."""
        return self._records.get(_key(placement), ModelRecord())

    def loaded(self, placement: Placement, *, load_s: float, loaded: int | None) -> None:
        """A load was measured."""
        known = self.of(placement)
        self._keep(placement, replace(known, load_s=round(load_s, 2), loaded=loaded or known.loaded))

    def ran(self, placement: Placement, size: int, peak: int) -> None:
        """A request of that size class was seen to need `peak` bytes beyond the loaded model."""
        known = self.of(placement)
        # Allocators differ by a little from one job to the next; what is told here must be enough.
        if size not in known.peaks or peak > known.peaks[size]:
            self._keep(placement, replace(known, peaks={**known.peaks, size: peak}))

    def _keep(self, placement: Placement, record: ModelRecord) -> None:
        self._records[_key(placement)] = record
        if self._path is None:
            return
        partial = self._path.with_suffix(".partial")
        try:
            partial.write_text(_File(models=[_Entry.of(key, known) for key, known in self._records.items()]).text())
            partial.replace(self._path)
        except OSError as error:
            log.warning(
                "ai.measurements_not_kept", extra={"path": str(self._path), "error": os.strerror(error.errno or 0)}
            )
            with contextlib.suppress(OSError):
                partial.unlink()


Key = tuple[str, str, str, str, str]  # pipeline, model id, revision, type, device


def _key(placement: Placement) -> Key:
    entry = placement.entry
    return entry.pipeline.value, entry.model_id, entry.revision or "", placement.dtype, placement.device


def _read(path: Path) -> dict[Key, ModelRecord]:
    try:
        return {entry.key: entry.record for entry in _File.model_validate_json(path.read_bytes()).models}
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        log.warning(
            "ai.measurements_unreadable", extra={"path": str(path), "error": " ".join(str(error).split())[:300]}
        )
        return {}


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    pipeline: str
    model_id: str
    revision: str
    dtype: str
    device: str
    load_s: NonNegativeFloat | None
    loaded_bytes: NonNegativeInt | None
    peak_bytes_by_units: dict[PositiveInt, NonNegativeInt]

    @classmethod
    def of(cls, key: Key, record: ModelRecord) -> "_Entry":
        pipeline, model_id, revision, dtype, device = key
        return cls(
            pipeline=pipeline,
            model_id=model_id,
            revision=revision,
            dtype=dtype,
            device=device,
            load_s=record.load_s,
            loaded_bytes=record.loaded,
            peak_bytes_by_units=dict(record.peaks),
        )

    @property
    def key(self) -> Key:
        return self.pipeline, self.model_id, self.revision, self.dtype, self.device

    @property
    def record(self) -> ModelRecord:
        return ModelRecord(self.load_s, self.loaded_bytes, self.peak_bytes_by_units)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    models: list[_Entry]

    def text(self) -> str:
        return self.model_dump_json(indent=2) + "\n"
