"""What the pool of models knows, for /metrics and /status. Read at scrape; health/README.md tells of each name."""

from dataclasses import asdict
from typing import Any

from livefleet.ai import ModelSnapshot, PoolSnapshot
from livefleet.health import Reading

__all__ = ["model_runners_part", "own_model_readings"]

_QUANTILES = (("0.5", "p50_s"), ("0.95", "p95_s"))


def model_runners_part(now: PoolSnapshot) -> dict[str, Any]:
    """Every runner and the memory of the devices that they are on, in bytes and seconds."""
    return {"runners": [asdict(model) for model in now.models], "devices": [asdict(book) for book in now.devices]}


def own_model_readings(now: PoolSnapshot) -> list[Reading]:
    """Warmth, load times, memory, jobs and refusals by runner, and each device's memory by who holds it."""
    return [*(reading for model in now.models for reading in _of_runner(model)), *_of_devices(now)]


def _of_runner(model: ModelSnapshot) -> list[Reading]:
    labels = {"pipeline": model.pipeline, "model_name": model.model_id, "device": model.device}

    def gauge(name: str, text: str, value: float, **more: str) -> Reading:
        return (f"livefleet_model_{name}", "gauge", text, labels | more, float(value))

    def counter(name: str, text: str, value: float) -> Reading:
        return (f"livefleet_model_{name}_total", "counter", text, labels, float(value))

    known = (
        ("load_seconds", "How long loading it took when it was measured last.", model.load_s),
        ("loaded_bytes", "Memory that it held when loaded, measured.", model.loaded_bytes),
        (
            "peak_bytes",
            "Most that a request needed beyond that, measured.",
            max(model.peak_bytes_by_units.values(), default=None),
        ),
    )
    return [
        gauge("warm", "1 while it is loaded and answers.", model.is_warm),
        gauge("in_use", "Requests that it works on or that wait for it.", model.in_use),
        gauge("waiting", "Requests that wait for it to load.", model.waiting),
        *(gauge(name, text, value) for name, text, value in known if value is not None),
        *(
            gauge("job_seconds", "Time of the last 256 answers, by quantile.", value, quantile=quantile)
            for quantile, name in _QUANTILES
            if (value := getattr(model, name)) is not None
        ),
        counter("jobs", "Jobs given to it.", model.jobs),
        counter("jobs_failed", "Jobs that it failed.", model.failed_jobs),
        counter("jobs_out_of_memory", "Jobs that ran out of memory.", model.out_of_memory),
        counter("jobs_refused_for_memory", "Jobs refused before they ran, for want of memory.", model.refused_memory),
        counter("loads", "Times it was loaded.", model.loads),
        counter("losses", "Times its process died, hung or would not load.", model.losses),
        counter("evictions", "Times it gave way to others.", model.evictions),
        counter("silences", "Times it gave no sign of life, and was not offered meanwhile.", model.silences),
        counter("proofs_failed", "Small jobs of the node's own that it did not do.", model.failed_proofs),
    ]  # fmt: skip


def _of_devices(now: PoolSnapshot) -> list[Reading]:
    found: list[Reading] = []
    for book in now.devices:
        kinds = (
            ("total", book.total),
            ("headroom", book.headroom),
            ("strangers", book.strangers),
            ("free", book.free_to_models),
        )
        found += [
            ("livefleet_device_memory_bytes", "gauge", "Memory of a device that models are on, by whose it is.",
             {"device": book.device, "held": kind}, float(value))
            for kind, value in kinds if value is not None
        ]  # fmt: skip
    return found
