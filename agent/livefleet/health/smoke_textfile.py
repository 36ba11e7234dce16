"""Results of smoke jobs for node exporter's textfile collector: central monitoring sees who stopped earning."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

__all__ = ["SmokeReading", "write_smoke_textfile"]


@dataclass(frozen=True, slots=True)
class SmokeReading:
    """One job on one host."""

    host: str
    job: str  # `video`, or `PIPELINE MODEL`
    passed: bool
    took_s: float


def write_smoke_textfile(path: Path, readings: Iterable[SmokeReading], *, at: float) -> None:
    """Replace the file, `*.prom`, by one rename; `at` in unix seconds is when the jobs were done. Raises OSError."""
    registry = CollectorRegistry()
    labels = ("host", "job")
    passed = Gauge("livefleet_smoke_passed", "1 where the last smoke job came to its end", labels, registry=registry)
    took = Gauge("livefleet_smoke_took_seconds", "How long it took", labels, registry=registry)
    last = Gauge("livefleet_smoke_last_seconds", "Unix time of the last round of smoke jobs", registry=registry)
    last.set(at)
    for reading in readings:
        passed.labels(reading.host, reading.job).set(reading.passed)
        took.labels(reading.host, reading.job).set(reading.took_s)
    write_to_textfile(str(path), registry)
