"""AI workers that joined over the network, as models that can be asked for work.

A job is finished by whoever uploads its result first: a worker that loses its stream may be finishing it still, as one
that stops does.
"""

import asyncio
import itertools
import logging
import random
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from livefleet.ai import AdvertisedModel, AiJob, AiResult, NoCapacity
from livefleet.kernel import Clock, Refused
from livefleet.payments import WORKERS, ModelAccounts
from livefleet.spec import Pipeline
from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.ai_messages import AiRegistration, AiTask
from livefleet.wire.auth import new_id
from livefleet.wire.capabilities import ModelConstraint, lowest_version
from livefleet.wire.server.remote_ai_job import ChunkFeed, RemoteJob, Try
from livefleet.wire.server.remote_ai_worker import AiWorkerSnapshot, Model, RemoteAiWorker
from livefleet.wire.server.stream_store import StreamStore
from livefleet.wire.server.worker_gate import SecretAge, WorkerGate

__all__ = ["AiWorkerPool", "AiWorkerSnapshot", "RemotePlace", "WorkersLost"]

log = logging.getLogger(__name__)

_LONGEST_S = 900.0
_LONGEST_STREAM_S = 600.0
_GRACE_S = 30.0  # a stopping worker of ours has as long to bring what it has
_AGAIN_S = 2.0  # a worker of ours brings at once again what it could not bring, and a full one may have room
_FULL = "no workers can process job requested"
_TRIES = 3  # a request that ends one worker after the other shall not end them all

Answer = asyncio.Future[AiResult | ChunkFeed]


class WorkersLost(Refused):
    """The job's worker is gone and no other can do it."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status=500)


@dataclass(frozen=True, slots=True)
class _Forsaken:
    """A job that a worker still does, though nobody waits for it."""

    worker: RemoteAiWorker
    model: Model
    timer: asyncio.TimerHandle


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

    def hand_over(self) -> RemoteAiWorker | None:
        """Let go of the worker, whose place stays taken; somebody else gives it back."""
        worker, self.worker = self.worker, None
        return worker

    async def run(self, job: AiJob) -> AiResult:
        """Have it done. Raises Refused with the worker's text, or WorkersLost."""
        return await self._pool.do(self, job)

    async def stream(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks as they come. Raises as `run`, before the first or when they end too early."""
        with self._pool.busy(self.model):
            async with aclosing((await self._pool.stream(self, job)).read()) as chunks:
                async for chunk in chunks:
                    yield chunk


class AiWorkerPool:
    """Chooses workers by model, sends jobs down their streams and takes results. Lives on one event loop.

    Files that jobs bring lie in `store` while a worker may fetch them.
    """

    def __init__(
        self,
        *,
        gate: WorkerGate,
        clock: Clock,
        store: StreamStore,
        rng: random.Random,
        longest_s: float = _LONGEST_S,
        grace_s: float = _GRACE_S,
        longest_stream_s: float = _LONGEST_STREAM_S,
        accounts: ModelAccounts | None = None,
    ) -> None:
        self.gate = gate
        """Judges what workers show."""
        gate.watch(self)
        self._clock = clock
        self._store = store
        self._rng = rng
        self._longest_s = longest_s
        self._grace_s = grace_s
        self.longest_stream_s = longest_stream_s
        """From the first byte of an answer in chunks to its last."""
        self._accounts = accounts
        self._workers: list[RemoteAiWorker] = []
        self._tasks: dict[int, Try] = {}
        self._forsaken: dict[int, _Forsaken] = {}
        self._ids = itertools.count()
        self._change: asyncio.Future[None] | None = None
        self._closed = False
        self.retries = 0
        """Jobs sent to another worker after theirs was lost."""

    # The stream's side

    def join(self, registration: AiRegistration, peer: str, shown: bytes = b"") -> RemoteAiWorker:
        """Take a worker in: its secret shows that it is this fleet's."""
        gone = asyncio.get_running_loop().create_future()
        worker = RemoteAiWorker(registration.capabilities, registration.hardware, peer, self._clock.now(), gone, shown)
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
        for task_id in [task_id for task_id, job in self._forsaken.items() if job.worker is worker]:
            self._forsaken.pop(task_id).timer.cancel()
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
        return tuple(worker.snapshot(self.gate.age_of(worker.shown) or SecretAge.FORMER) for worker in self._workers)

    # The gate's side

    def shown(self) -> list[tuple[str, bytes]]:
        """Peer and last shown secret of each worker."""
        return [(worker.peer, worker.shown) for worker in self._workers]

    def turn_out(self, shown: Collection[bytes]) -> None:
        """End the streams of those that showed one of these."""
        for worker in [worker for worker in self._workers if worker.shown in shown]:
            self.leave(worker)

    # The upload's side

    def heard_of(self, task_id: int) -> None:
        """The worker answers: it has done with the task, also where nobody waits for that any more."""
        if (job := self._forsaken.pop(task_id, None)) is not None:
            job.timer.cancel()
            job.worker.in_use[job.model] -= 1
            self.changed()

    def expects(self, task_id: int) -> AiJob | None:
        """What a task asked for; None for unknown and finished ones."""
        found = self._open(task_id)
        return None if found is None else found.remote.job

    def finish(self, task_id: int, result: AiResult) -> None:
        """A result came in. Unknown and finished tasks are ignored, here and below."""
        if (found := self._open(task_id)) is not None:
            found.remote.answer.set_result(result)

    def begin_stream(self, task_id: int) -> ChunkFeed | None:
        """The first chunk came in: the writer's end for it and those that follow; None when nobody waits for them."""
        if (found := self._open(task_id)) is None:
            return None
        feed = ChunkFeed()
        found.remote.answer.set_result(feed)
        return feed

    def fail(self, task_id: int, text: str) -> None:
        """A worker says that it could not do it, or its upload shows it."""
        if text == _FULL:
            self.broke_off(task_id)
        elif (found := self._open(task_id)) is not None:
            found.remote.answer.set_exception(Refused(text, status=500))

    def broke_off(self, task_id: int) -> None:
        """Nothing of use came, and another may do it: the upload ended with its connection, or the worker is full."""
        if (found := self._open(task_id)) is not None and not found.broken.done():
            found.broken.set_result(None)

    def _open(self, task_id: int) -> Try | None:
        found = self._tasks.get(task_id)
        return None if found is None or found.remote.answer.done() else found

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
        with self.busy(place.model):
            answer = await self._answer(place, job)
        assert isinstance(answer, AiResult)  # the upload is taken by what the job asked for
        return answer

    async def stream(self, place: RemotePlace, job: AiJob) -> ChunkFeed:
        """Likewise; there once the first chunk is. From then on nobody else can do it. Whoever takes it closes it."""
        answer = await self._answer(place, job)
        assert isinstance(answer, ChunkFeed)  # likewise
        return answer

    async def _answer(self, place: RemotePlace, job: AiJob) -> AiResult | ChunkFeed:
        remote = RemoteJob(job)
        session, url = new_id(self._rng), ""
        if job.upload is not None:
            url = self._store.put(session, "", f"{new_id(self._rng)}.tempfile", job.upload)
        ids: list[int] = []
        try:
            async with asyncio.timeout(self._longest_s):
                while not remote.answer.done():
                    assert place.worker is not None
                    ids.append(next(self._ids))
                    self._tasks[ids[-1]] = current = Try(remote)
                    task = AiTask(ids[-1], place.model[0], remote.request, url)
                    place.worker.outbox.put_nowait(task)
                    await _first(remote.answer, place.worker.gone, current.broken)
                    if current.broken.done():
                        await asyncio.wait((remote.answer,), timeout=min(_AGAIN_S, self._grace_s))
                    if not remote.answer.done():
                        await self._replace(place, remote.answer, is_last=len(ids) >= _TRIES)
                return remote.answer.result()
        except TimeoutError:
            remote.give_up()
            if place.worker is not None:
                self.leave(place.worker)
            raise Refused("Remote worker took too long", status=500) from None
        except asyncio.CancelledError:
            if remote.give_up():
                self._forsake(ids[-1], place)
            raise
        finally:
            self._store.drop(session)
            for task_id in ids:
                del self._tasks[task_id]

    def busy(self, model: Model) -> AbstractContextManager[None]:
        """One of the workers' devices works for a model, or is on its way to or from it, while the block lasts."""
        return nullcontext() if self._accounts is None else self._accounts.busy(*model, WORKERS, is_here=False)

    def _forsake(self, task_id: int, place: RemotePlace) -> None:
        """Workers cannot be told that nobody waits any more: the place is taken until this one answers."""
        worker = place.hand_over()
        if worker is not None and worker in self._workers:
            timer = asyncio.get_running_loop().call_later(self._longest_s, self.heard_of, task_id)
            self._forsaken[task_id] = _Forsaken(worker, place.model, timer)

    def changed(self) -> None:
        """Somebody joined or has room again: whoever waits looks anew."""
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    async def _replace(self, place: RemotePlace, answer: Answer, *, is_last: bool) -> None:
        """Move the place to another worker, at once or when one can; or see the lost one's result come in.

        Raises WorkersLost when neither happens for `grace_s`.
        """
        log.warning("ai_worker.lost_with_job", extra={"model": place.model[1], "workers": len(self._workers)})
        place.release()
        try:
            async with asyncio.timeout(self._grace_s):
                while not answer.done():
                    worker = None if is_last else self._free(place.model)
                    if worker is not None:
                        place.hold(worker)
                        self.retries += 1
                        return
                    if self._change is None or self._change.done():
                        self._change = asyncio.get_running_loop().create_future()
                    await _first(answer, self._change)
        except TimeoutError:
            raise WorkersLost(_FULL if self._workers else "no workers available") from None

    def _free(self, model: Model) -> RemoteAiWorker | None:
        """The first that joined and has room."""
        return next((worker for worker in self._workers if worker.free(model) > 0), None)


async def _first(*events: Answer | asyncio.Future[None]) -> None:
    await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
