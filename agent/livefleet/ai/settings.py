"""What a runner process is told: one line of JSON on its stdin, which stays open for as long as its parent lives."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from livefleet.spec import Pipeline

__all__ = ["CPU", "RUNNER_VERSION", "RunnerSettings"]

CPU = "cpu"
"""The device that is no GPU."""

RUNNER_VERSION = "0.14.1"
"""The ai-runner release whose HTTP API the runner speaks. Gateways compare it with the least version they accept."""


class RunnerSettings(BaseModel):
    """One model on one device. Nothing in it is secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    pipeline: Pipeline
    model_id: str
    source: str
    """A folder as diffusers saves it, or a hub id."""

    revision: str | None = None
    dtype: str
    """`float32`, `float16` or `bfloat16`."""

    device: str
    """`cpu`, or the GPU's UUID; then it is the only one that the process sees."""

    capacity: int = Field(ge=1)
    cpu_threads: int = Field(ge=1)
    request_timeout_s: float = Field(gt=0)
    socket: Path
    """Where to listen. A stale file there is the parent's to remove."""

    parent: int
    """Process id of the agent; the runner ends when its parent is another."""

    version: str = RUNNER_VERSION
