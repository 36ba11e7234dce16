"""AI workers that joined over the network, as models that can be asked for work.

A job is finished by whoever uploads its result first: a worker that loses its stream may be finishing it still, as one
that stops does.
"""

import asyncio
import itertools
import json
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from livefleet.ai import SERVED, AdvertisedModel, AiJob, AiResult, NoCapacity
from livefleet.kernel import Clock, Refused
from livefleet.spec import Pipeline
from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.ai_messages import AiRegistration, AiTask
from livefleet.wire.capabilities import Capabilities, ModelConstraint, capability_of_pipeline, lowest_version

__all__ = ["AiWorkerPool", "AiWorkerSnapshot", "RemoteAiWorker", "RemotePlace", "WorkersLost"]

log = logging.getLogger(__name__)

_LONGEST_S = 900.0
_GRACE_S = 30.0  # a stopping worker of ours has as long to bring what it has
_TRIES = 3  # a request that ends one worker after the other shall not end them all

Model = tuple[str, str]  # pipeline, model id


class WorkersLost(Refused):
    """The job's worker is gone and no other can do it."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status=500)


@dataclass(eq=False, slots=True)
class RemoteAiWorker:
    """One open RegisterAIWorker stream."""

    capabilities: Capabilities
    hardware: tuple[ModelHardware, ...]
    peer: str
    since: float  # unix seconds
    gone: asyncio.Future[None]
    outbox: asyncio.Queue[AiTask | None] = field(default_factory=asyncio.Queue)
    in_use: Counter[Model] = field(default_factory=Counter)

    def models(self) -> Iterator[tuple[Model, ModelConstraint]]:
        """Those of pipelines that gateways can ask us for."""
        for pipeline in SERVED:
            capability = capability_of_pipeline(pipeline)
            assert capability is not None  # each pipeline is one of the wire's
            for model_id, constraint in self.capabilities.models.get(capability, {}).items():
                if constraint.capacity > 0:
                    yield (pipeline.value, model_id), constraint

    def free(self, model: Model) -> int:
        """Jobs for this model that it could take now."""
        return next((c.capacity - self.in_use[model] for known, c in self.models() if known == model), 0)


@dataclass(frozen=True, slots=True)
class AiWorkerSnapshot:
    """A worker as /status shows it."""

    peer: str
    models: tuple[str, ...]  # `pipeline/model id`
    capacity: int
    in_use: int
    since: float
    version: str


@dataclass(slots=True)
class _Task:
    outcome: asyncio.Future[AiResult]
    model: Model
    job: AiJob


class RemotePlace:
    """A place at a worker, held until the block that reserved it ends; it moves when the worker is lost."""

    def __init__(self, pool: "AiWorkerPool", model: Model, worker: RemoteAiWorker) -> None:
        self._pool = pool
        self.model = model
        self.worker: RemoteAiWorker | None = None
        self.hold(worker)

    def hold(self, worker: RemoteAiWorker) -> None:
        """Take a place there."""
        assert self.worker is None
        self.worker = worker
        worker.in_use[self.model] += 1

    def release(self) -> None:
        """Give it back."""
        if self.worker is not None:
            self.worker.in_use[self.model] -= 1
            self.worker = None
            self._pool.changed()

    async def run(self, job: AiJob) -> AiResult:
        """Have it done. Raises Refused with the worker's text, or WorkersLost."""
        return await self._pool.do(self, job)

    async def stream(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks. Raises as `run`."""
        yield (await self.run(job)).body


class AiWorkerPool:
    """Chooses workers by model, sends jobs down their streams and takes results. Lives on one event loop."""

    def __init__(self, *, secret: str, clock: Clock, longest_s: float = _LONGEST_S, grace_s: float = _GRACE_S) -> None:
        if not secret:
            raise ValueError("workers are not taken without a secret")
        self.secret = secret
        self._clock = clock
        self._longest_s = longest_s
        self._grace_s = grace_s
        self._workers: list[RemoteAiWorker] = []
        self._tasks: dict[int, _Task] = {}
        self._ids = itertools.count()
        self._change: asyncio.Future[None] | None = None
        self._closed = False
        self.retries = 0
        """Jobs sent to another worker after theirs was lost."""

    # The stream's side

    def join(self, registration: AiRegistration, peer: str) -> RemoteAiWorker:
        """Take a worker in, whatever its version: its secret shows that it is this fleet's."""
        gone = asyncio.get_running_loop().create_future()
        worker = RemoteAiWorker(registration.capabilities, registration.hardware, peer, self._clock.now(), gone)
        self._workers.append(worker)
        if self._closed:
            worker.outbox.put_nowait(None)
        self.changed()
        models = [model_id for (_, model_id), _ in worker.models()]
        log.info("ai_worker.joined", extra={"peer": peer, "models": models, "workers": len(self._workers)})
        return worker

    def leave(self, worker: RemoteAiWorker) -> None:
        """Its stream ended, or it is no longer trusted with work: end the stream."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        worker.outbox.put_nowait(None)
        if not worker.gone.done():
            worker.gone.set_result(None)
        log.info("ai_worker.left", extra={"peer": worker.peer, "workers": len(self._workers)})

    def close(self) -> None:
        """End all streams, now and later; running jobs may still be uploaded."""
        self._closed = True
        for worker in self._workers:
            worker.outbox.put_nowait(None)

    # What the node tells about it

    def advertised(self) -> tuple[AdvertisedModel, ...]:
        """The workers' models, each summed over those that have it."""
        found: dict[Model, list[tuple[ModelConstraint, int]]] = {}
        for worker in self._workers:
            for model, constraint in worker.models():
                found.setdefault(model, []).append((constraint, worker.in_use[model]))
        return tuple(
            AdvertisedModel(
                pipeline=pipeline,
                model_id=model_id,
                warm=any(constraint.warm for constraint, _ in shares),
                capacity=sum(constraint.capacity for constraint, _ in shares),
                capacity_in_use=sum(in_use for _, in_use in shares),
                runner_version=lowest_version(constraint.runner_version for constraint, _ in shares),
            )
            for (pipeline, model_id), shares in found.items()
        )

    def hardware(self) -> tuple[ModelHardware, ...]:
        """What the workers told when they joined."""
        return tuple(entry for worker in self._workers for entry in worker.hardware)

    def snapshot(self) -> tuple[AiWorkerSnapshot, ...]:
        """Every worker, oldest first."""
        return tuple(
            AiWorkerSnapshot(
                peer=worker.peer,
                models=tuple("/".join(model) for model, _ in worker.models()),
                capacity=sum(constraint.capacity for _, constraint in worker.models()),
                in_use=worker.in_use.total(),
                since=worker.since,
                version=worker.capabilities.version,
            )
            for worker in self._workers
        )

    # The upload's side

    def expects(self, task_id: int) -> AiJob | None:
        """What a task asked for; None for unknown and finished ones."""
        task = self._tasks.get(task_id)
        return None if task is None or task.outcome.done() else task.job

    def finish(self, task_id: int, result: AiResult) -> None:
        """A result came in. Unknown and finished tasks are ignored."""
        task = self._tasks.get(task_id)
        if task is not None and not task.outcome.done():
            task.outcome.set_result(result)

    def fail(self, task_id: int, text: str) -> None:
        """A worker says that it could not do it."""
        task = self._tasks.get(task_id)
        if task is not None and not task.outcome.done():
            task.outcome.set_exception(Refused(text, status=500))

    # The gateway's side

    @contextmanager
    def reserve(self, pipeline: Pipeline, model_id: str) -> Iterator[RemotePlace]:
        """Hold a place before payment is taken. Raises NoCapacity, also for models that no worker has."""
        model = (pipeline.value, model_id)
        worker = self._free(model)
        if worker is None:
            raise NoCapacity(model_id, f"none of {len(self._workers)} AI worker(s) has room for it")
        place = RemotePlace(self, model, worker)
        try:
            yield place
        finally:
            place.release()

    async def do(self, place: RemotePlace, job: AiJob) -> AiResult:
        """Have the place's worker do it, and another one when that is lost. Raises Refused."""
        outcome: asyncio.Future[AiResult] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(_retrieved)
        request = json.dumps(job.fields, separators=(",", ":")).encode()
        ids: list[int] = []
        try:
            async with asyncio.timeout(self._longest_s):
                while not outcome.done():
                    assert place.worker is not None
                    task_id = next(self._ids)
                    ids.append(task_id)
                    self._tasks[task_id] = _Task(outcome, place.model, job)
                    place.worker.outbox.put_nowait(AiTask(task_id, place.model[0], request))
                    await _first(outcome, place.worker.gone)
                    if not outcome.done():
                        await self._replace(place, outcome, is_last=len(ids) >= _TRIES)
                return outcome.result()
        except TimeoutError:
            if place.worker is not None:
                self.leave(place.worker)
            raise Refused("Remote worker took too long", status=500) from None
        finally:
            for task_id in ids:
                del self._tasks[task_id]

    def changed(self) -> None:
        """Somebody joined or has room again: whoever waits looks anew."""
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    async def _replace(self, place: RemotePlace, outcome: asyncio.Future[AiResult], *, is_last: bool) -> None:
        """Move the place to another worker, at once or when one can; or see the lost one's result come in.

        Raises WorkersLost when neither happens for `grace_s`.
        """
        log.warning("ai_worker.lost_with_job", extra={"model": place.model[1], "workers": len(self._workers)})
        place.release()
        try:
            async with asyncio.timeout(self._grace_s):
                while not outcome.done():
                    worker = None if is_last else self._free(place.model)
                    if worker is not None:
                        place.hold(worker)
                        self.retries += 1
                        return
                    if self._change is None or self._change.done():
                        self._change = asyncio.get_running_loop().create_future()
                    await _first(outcome, self._change)
        except TimeoutError:
            text = "no workers can process job requested" if self._workers else "no workers available"
            raise WorkersLost(text) from None

    def _free(self, model: Model) -> RemoteAiWorker | None:
        """The first that joined and has room."""
        return next((worker for worker in self._workers if worker.free(model) > 0), None)


async def _first(outcome: asyncio.Future[AiResult], other: asyncio.Future[None]) -> None:
    await asyncio.wait((outcome, other), return_when=asyncio.FIRST_COMPLETED)


def _retrieved(outcome: asyncio.Future[AiResult]) -> None:
    """A job that was given up does not fetch its error; that is no reason for a warning."""
    if not outcome.cancelled():
        outcome.exception()
