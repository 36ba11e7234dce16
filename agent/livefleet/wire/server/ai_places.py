"""Local models and joined workers' models as one."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from typing import Any

from livefleet.ai import AdvertisedModel, AiJob, AiResult, NoCapacity
from livefleet.spec import Pipeline
from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.ai_models import Ai, Place
from livefleet.wire.capabilities import lowest_version
from livefleet.wire.server.ai_worker_pool import AiWorkerPool, WorkersLost

__all__ = ["AiPlaces"]


class AiPlaces:
    """Requests go to local models until those are full, then to workers. Either may be missing.

    `local_hardware` tells what the local models run on.
    """

    def __init__(
        self,
        *,
        local: Ai | None = None,
        local_hardware: Callable[[], Sequence[ModelHardware]] = tuple,
        pool: AiWorkerPool | None = None,
    ) -> None:
        self._local = local
        self._local_hardware = local_hardware
        self._pool = pool

    def advertised(self) -> tuple[AdvertisedModel, ...]:
        """What can be asked for now, each model summed over those that have it."""
        found: dict[tuple[str, str], list[AdvertisedModel]] = {}
        for source in (self._local, self._pool):
            for model in () if source is None else source.advertised():
                found.setdefault((model.pipeline, model.model_id), []).append(model)
        return tuple(_sum(shares) for shares in found.values())

    def hardware(self) -> tuple[ModelHardware, ...]:
        """That of the local models where there are any, else that of the connected workers."""
        if self._local is not None:
            return tuple(self._local_hardware())
        return () if self._pool is None else self._pool.hardware()

    @contextmanager
    def reserve(self, pipeline: Pipeline, model_id: str) -> Iterator[Place]:
        """Hold a place before payment is taken. Raises NoCapacity."""
        with ExitStack() as held:
            yield self._place(pipeline, model_id, held)

    def _place(self, pipeline: Pipeline, model_id: str, held: ExitStack) -> Place:
        if self._local is not None:
            try:
                return held.enter_context(self._local.reserve(pipeline, model_id))
            except NoCapacity:
                if self._pool is None:
                    raise
        if self._pool is None:
            raise NoCapacity(model_id, "no models here and no AI workers are taken")
        remote = held.enter_context(self._pool.reserve(pipeline, model_id))
        return remote if self._local is None else _RemoteElseLocal(remote, self._local)


class _RemoteElseLocal:
    """A worker's place; when all workers are lost under it, a local one if it is free by then."""

    def __init__(self, remote: Place, local: Ai) -> None:
        self._remote = remote
        self._local = local

    async def run(self, job: AiJob) -> AiResult:
        """Have it done. Raises Refused."""
        try:
            return await self._remote.run(job)
        except WorkersLost as lost:
            with self._instead(job, lost) as place:
                return await place.run(job)

    async def stream(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks; another place takes over only while none has come. Raises Refused."""
        begun = False
        try:
            async with aclosing(self._remote.stream(job)) as chunks:
                async for chunk in chunks:
                    begun = True
                    yield chunk
        except WorkersLost as lost:
            if begun:
                raise
            with self._instead(job, lost) as place:
                async with aclosing(place.stream(job)) as chunks:
                    async for chunk in chunks:
                        yield chunk

    @contextmanager
    def _instead(self, job: AiJob, lost: WorkersLost) -> Iterator[Place]:
        with ExitStack() as held:
            try:
                place = held.enter_context(self._local.reserve(job.pipeline, job.model_id))
            except NoCapacity:
                raise lost from None
            yield place


def _sum(shares: Sequence[AdvertisedModel]) -> AdvertisedModel:
    return AdvertisedModel(
        pipeline=shares[0].pipeline,
        model_id=shares[0].model_id,
        warm=any(share.warm for share in shares),
        capacity=sum(share.capacity for share in shares),
        capacity_in_use=sum(share.capacity_in_use for share in shares),
        runner_version=lowest_version(share.runner_version for share in shares),
    )
