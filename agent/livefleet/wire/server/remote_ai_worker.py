"""An AI worker that has joined, as the pool sees it."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from livefleet.spec import Pipeline
from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.ai_messages import AiTask
from livefleet.wire.capabilities import Capabilities, ModelConstraint, capability_of_pipeline
from livefleet.wire.server.worker_gate import SecretAge

__all__ = ["AiWorkerSnapshot", "Model", "RemoteAiWorker"]

Model = tuple[str, str]  # pipeline, model id


@dataclass(eq=False, slots=True)
class RemoteAiWorker:
    """One open RegisterAIWorker stream."""

    capabilities: Capabilities
    hardware: tuple[ModelHardware, ...]
    peer: str
    since: float  # unix seconds
    gone: asyncio.Future[None]
    shown: bytes = field(default=b"", repr=False)  # the secret, as it was shown last
    outbox: asyncio.Queue[AiTask | None] = field(default_factory=asyncio.Queue)
    in_use: Counter[Model] = field(default_factory=Counter)

    def models(self) -> Iterator[tuple[Model, ModelConstraint]]:
        """Those of the batch pipelines; live video is not for workers."""
        for pipeline in Pipeline:
            capability = capability_of_pipeline(pipeline)
            assert capability is not None  # each pipeline is one of the wire's
            for model_id, constraint in self.capabilities.models.get(capability, {}).items():
                if constraint.capacity > 0:
                    yield (pipeline.value, model_id), constraint

    def free(self, model: Model) -> int:
        """Jobs for this model that it could take now."""
        return next((c.capacity - self.in_use[model] for known, c in self.models() if known == model), 0)

    def snapshot(self, secret: SecretAge = SecretAge.CURRENT) -> "AiWorkerSnapshot":
        """As /status shows it."""
        return AiWorkerSnapshot(
            peer=self.peer,
            models=tuple("/".join(model) for model, _ in self.models()),
            capacity=sum(constraint.capacity for _, constraint in self.models()),
            in_use=self.in_use.total(),
            since=self.since,
            version=self.capabilities.version,
            secret=secret,
        )


@dataclass(frozen=True, slots=True)
class AiWorkerSnapshot:
    """A worker as /status shows it."""

    peer: str
    models: tuple[str, ...]  # `pipeline/model id`
    capacity: int
    in_use: int
    since: float
    version: str
    secret: SecretAge = SecretAge.CURRENT  # which one it showed last: `current` or `former`
