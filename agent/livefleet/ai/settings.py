"""What a runner process is told: one line of JSON on its stdin, which stays open for as long as its parent lives."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer, model_validator

from livefleet.spec import Pipeline

__all__ = ["CPU", "KEEP_CONNECTIONS_S", "RUNNER_VERSION", "RunnerSettings"]

CPU = "cpu"
"""The device that is no GPU."""

RUNNER_VERSION = "0.14.1"
"""The ai-runner release whose HTTP API the runner speaks. Gateways compare it with the least version they accept."""

KEEP_CONNECTIONS_S = 60
"""How long the agent keeps an idle connection to a runner of its own; the runner keeps it longer."""


class RunnerSettings(BaseModel):
    """One model on one device."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), hide_input_in_errors=True)

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
    batch: int = Field(default=1, ge=1)
    """Most jobs of one shape that are computed together, where the model can. 1: each alone."""

    cpu_threads: int = Field(ge=1)
    request_timeout_s: float = Field(gt=0)
    socket: Path | None = None
    """Where to listen. A stale file there is the parent's to remove."""

    listen: str | None = None
    """`HOST:PORT` to listen at in place of `socket`. It takes connections from when the model has loaded, as ai-runner
    does."""

    auth_token: SecretStr | None = None
    """What jobs have to bring as `Authorization: Bearer`. None: nothing, as behind a socket that only we can open."""

    parent: int | None = None
    """Process id of the agent: the runner ends when its parent is another, or with its stdin. None: it stands alone."""

    loras: bool = False
    """Whether requests may name LoRAs."""

    controlnet: str | None = None
    """A ControlNet that image-to-image is guided by: a folder or hub id."""

    safety_check: bool | Literal["forced"] = True
    """Pictures are checked where the request asks for it; `forced`: always; false: never, and no checker is kept."""

    safety_checker: str | None = None
    """A checker in place of the model's own: a folder or hub id."""

    optimization: dict[str, str | bool] = {}
    """ai-runner's flags, by the names of its environment variables, such as `BACKEND`."""

    version: str = RUNNER_VERSION

    @model_validator(mode="after")
    def _listens_somewhere(self) -> Self:
        if (self.socket is None) is (self.listen is None):
            raise ValueError("either `socket` or `listen` says where to listen")
        return self

    @field_serializer("auth_token", when_used="json-unless-none")
    def _in_the_clear(self, token: SecretStr) -> str:
        """For the runner's stdin, which is the only place that the JSON goes to."""
        return token.get_secret_value()
