"""All models of a node: one runner a placement, capacity counted here."""

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from livefleet.ai.advertising import AdvertisedModel, advertised, conditions
from livefleet.ai.catalogue import Placement
from livefleet.ai.errors import NoCapacity
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.warm_model import WarmModel
from livefleet.ai.watch import WatchLimits
from livefleet.kernel import BadInput, ConditionBoard
from livefleet.spec import Pipeline

__all__ = ["AiPool", "Reservation"]

_LONGEST_SOCKET_PATH = 107  # bytes in sockaddr_un, less the closing zero


class Reservation:
    """A place for one request on one runner, held until the block that reserved it ends."""

    def __init__(self, model: WarmModel) -> None:
        self._model = model

    async def run(self, job: AiJob) -> AiResult:
        """Have it done. Raises RunnerRefused with the text for gateways. Cancelling stops the computing."""
        return await self._model.run_job(job)

    def stream(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks. Raises RunnerRefused; closing it stops the computing."""
        return self._model.stream_job(job)


class AiPool:
    """Starts and watches the runners while entered. One event loop's property.

    Raises BadInput for a run folder whose path is too long to hold sockets.
    """

    def __init__(
        self,
        placements: Sequence[Placement],
        *,
        run_dir: Path,
        state_folder: Path,
        board: ConditionBoard,
        rng: random.Random,
        request_timeout_s: float,
        limits: WatchLimits | None = None,
        cpu_threads: int | None = None,
    ) -> None:
        self._run_dir = run_dir
        self._board = board
        self._stack = AsyncExitStack()
        # Half the cores: the front door and transcoding have to stay quick beside a model on the CPU.
        threads = cpu_threads or max(1, (os.cpu_count() or 1) // 2)
        self._models = [
            WarmModel(
                placement,
                socket=_socket_path(run_dir, number),
                state_folder=state_folder,
                request_timeout_s=request_timeout_s,
                cpu_threads=threads,
                limits=limits or WatchLimits(),
                rng=rng,
                on_change=self._report,
            )
            for number, placement in enumerate(placements)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._report()
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._tasks = [group.create_task(model.run(), name=model.placement.entry.model_id) for model in self._models]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        # An error of the block is its own, none of the group's.
        await self._stack.__aexit__(None, None, None)

    def advertised(self) -> tuple[AdvertisedModel, ...]:
        """What can be asked for now."""
        return advertised(model.view() for model in self._models)

    def runner_pids(self) -> dict[str, tuple[int, ...]]:
        """Processes by model id, for /status."""
        pids: dict[str, tuple[int, ...]] = {}
        for model in self._models:
            if model.pid is not None:
                pids[model.placement.entry.model_id] = (*pids.get(model.placement.entry.model_id, ()), model.pid)
        return pids

    @contextmanager
    def reserve(self, pipeline: Pipeline, model_id: str) -> Iterator[Reservation]:
        """Hold a place before payment is taken. Raises NoCapacity, also for models that are not served here."""
        asked = [
            m for m in self._models if (m.placement.entry.pipeline, m.placement.entry.model_id) == (pipeline, model_id)
        ]
        if not asked:
            raise NoCapacity(model_id, "no such model here")
        best = max(asked, key=lambda model: model.view().free)
        if best.view().free <= 0:
            raise NoCapacity(
                model_id, "; ".join(f"{v.state}, {v.in_use} of {v.capacity} in use" for v in map(WarmModel.view, asked))
            )
        best.in_use += 1
        try:
            yield Reservation(best)
        finally:
            best.in_use -= 1

    async def run(self, job: AiJob) -> AiResult:
        """Reserve and do. Raises NoCapacity, RunnerRefused; both carry the wire's text and status."""
        with self.reserve(job.pipeline, job.model_id) as place:
            return await place.run(job)

    def _report(self) -> None:
        for condition in conditions(model.view() for model in self._models):
            self._board.report(condition)


def _socket_path(run_dir: Path, number: int) -> Path:
    path = run_dir / f"ai-{number}.sock"
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise BadInput(f"{path} is too long for a unix socket; choose a shorter root")
    return path
