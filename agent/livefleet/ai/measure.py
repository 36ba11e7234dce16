"""What a model takes on this machine: `python -m livefleet.ai.measure`, which `livefleet models bench` starts.

stdin:  one line of JSON, `{"settings": RunnerSettings, "jobs": int, "fields": {...}}`; fields replace the proof's own.
stdout: a line of JSON a step: `{"load_s", "loaded"}`, then `{"job_s"}` for each job, at last `{"units", "peak"}`; or
`{"error"}`. Seconds and bytes. Whatever libraries print goes to stderr.
"""

import json
import os
import sys
import time
from typing import Any

from pydantic import BaseModel, Field

from livefleet.ai.pipelines import kind_of
from livefleet.ai.runner_memory import MemoryMeter
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop

__all__ = ["Asked", "main"]


class Asked(BaseModel):
    """What is to be measured."""

    settings: RunnerSettings
    jobs: int = Field(ge=1, le=1000)
    fields: dict[str, Any] = {}


def main() -> None:
    """Load, work, tell."""
    words = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        for step in _steps(Asked.model_validate_json(sys.stdin.readline())):
            words.write(json.dumps(step) + "\n")
            words.flush()
    except Exception as error:  # noqa: BLE001 -- libraries raise anything, and all of it is the answer
        words.write(json.dumps({"error": " ".join(f"{type(error).__name__}: {error}".split())[:600]}) + "\n")
        words.flush()
        sys.exit(1)


def _steps(asked: Asked) -> Any:
    began = time.perf_counter()
    kind = kind_of(asked.settings.pipeline)
    model = kind.load(asked.settings)
    proof, upload = kind.proof(asked.settings)
    fields = type(proof).model_validate(proof.model_dump() | asked.fields)
    if fault := kind.fault(fields, upload):
        raise ValueError(fault)
    model.run(fields, upload, 0, Stop(float("inf")))
    meter = MemoryMeter(model)
    yield {"load_s": time.perf_counter() - began, "loaded": meter.read().loaded}
    meter.forget_peak()
    for seed in range(asked.jobs):
        began = time.perf_counter()
        model.run(fields, upload, seed, Stop(float("inf")))
        yield {"job_s": time.perf_counter() - began}
    yield {"units": kind.units(fields, upload), "peak": meter.read().peak}


if __name__ == "__main__":
    main()
