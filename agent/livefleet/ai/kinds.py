"""What a pipeline is: its fields and limits, what it bills, and how its model is loaded. One file a pipeline makes one.

Nothing here or at the top of those files imports torch: the agent reads requests by them, only runners load models.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, model_validator

from livefleet.ai.jobs import AiResult
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

__all__ = [
    "BatchedJob",
    "BatchingModel",
    "JobFields",
    "Kind",
    "Model",
    "ModelId",
    "Prompt",
    "Seed",
    "StreamingModel",
    "Upload",
]

Prompt = Annotated[str, Field(max_length=8192)]
ModelId = Annotated[str, Field(max_length=512)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63 - 64)]
"""Image n is made with seed + n, which still has to be 64 bits."""


class JobFields(BaseModel):
    """Fields of a request: unknown ones are ignored and null means absent, as Go peers do.

    Multipart brings all of them as text, JSON as they are; both are taken.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


F = TypeVar("F", bound=JobFields)
F_contra = TypeVar("F_contra", bound=JobFields, contravariant=True)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a request brings; such requests are multipart, others JSON."""

    field: str  # `image` or `audio`
    max_bytes: int = 50 * 1024 * 1024
    too_large: str = "File size exceeds limit."  # ai-runner's words, with status 413


class Model(Protocol[F_contra]):
    """A loaded model in its runner process. Called on worker threads, `capacity` at once."""

    def run(self, fields: F_contra, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Do a job. `seed`: the request's, else a drawn one.

        Raises Cancelled or DeadlinePassed when `stop` says so, OutOfMemory, InferenceFailed, ValueError.
        """
        ...


class StreamingModel(Model[F_contra], Protocol[F_contra]):
    """A model that also answers bit by bit."""

    def stream(self, fields: F_contra, stop: Stop) -> Iterator[Mapping[str, Any]]:
        """The chunks, each a JSON object; raises as `run` does."""
        ...


@dataclass(frozen=True, slots=True)
class BatchedJob(Generic[F]):
    """One of the jobs that are computed together."""

    fields: F
    upload: bytes | None
    seed: int
    stop: Stop


@runtime_checkable
class BatchingModel(Protocol):
    """A model that computes jobs of one `batch_key` together, in less time than one after the other."""

    def run_batch(self, jobs: Sequence[BatchedJob[Any]]) -> Sequence[AiResult | Exception]:
        """An answer for each, in their order: the same as `run` gives to it alone, or what `run` would raise.

        What is raised instead goes to all of them.
        """
        ...


class Kind(ABC, Generic[F]):
    """One pipeline. Stateless; the file's `KIND` is its only instance."""

    pipeline: ClassVar[Pipeline]
    title: ClassVar[str]
    """Its name in the texts that gateways match, such as `LLM`."""

    fields: ClassVar[type[JobFields]]
    """As an orchestrator takes them, with its defaults: what is billed."""

    runner_fields: ClassVar[type[JobFields]]
    """As a runner takes them, with ai-runner's defaults."""

    model_field: ClassVar[str] = "model_id"
    """Where the model's id stands."""

    upload: ClassVar[Upload | None] = None
    out_of_memory: ClassVar[str]
    """ai-runner's words for it."""

    failed: ClassVar[str]
    """ai-runner's words for any other trouble of the pipeline."""

    dot: ClassVar[str] = "."
    """What ends ai-runner's message about another model; three pipelines leave it out."""

    token_dot: ClassVar[str] = "."  # noqa: S105 -- a dot
    """What ends its message about a wrong token; llm and image-to-text leave it out."""

    too_large_colon: ClassVar[str] = ":"
    """What follows the status in the Go worker's words for too large a file; image-to-text has nothing there."""

    one_failure: ClassVar[bool] = False
    """Whether every trouble of the pipeline is `failed` with status 500, as for llm."""

    def fault(self, fields: F, upload: bytes | None) -> str | None:
        """ai-runner's words for what the fields' types cannot tell to be wrong, else None. Reads headers only."""
        return None

    @abstractmethod
    def units(self, fields: F, upload: bytes | None) -> int:
        """What the request is billed. Raises ValueError with the text for the gateway where that cannot be told."""

    def effort(self, fields: F) -> int:
        """Steps that each unit takes, for comparing latencies."""
        return 1

    def media(self, fields: F) -> int | None:
        """How many pictures, films or sounds come back; None: not known before."""
        return None

    def batch_key(self, fields: F, upload: bytes | None) -> Hashable | None:
        """Jobs of equal keys may be computed together by a BatchingModel. None: each alone."""
        return None

    def streams(self, fields: F) -> bool:
        """Whether the answer comes in chunks."""
        return False

    @abstractmethod
    def proof(self, settings: RunnerSettings) -> tuple[F, bytes | None]:
        """A small job that shows a freshly loaded model to work on its device in its type."""

    @abstractmethod
    def load(self, settings: RunnerSettings) -> Model[F]:
        """Load the weights; takes seconds to minutes. Only in a runner process. Raises whatever the library does."""
