"""Jobs on a runner's worker threads; those of one shape together, where the model gains by it."""

import asyncio
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from livefleet.ai.errors import InferenceFailed
from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import BatchedJob, BatchingModel, Kind, Model

__all__ = ["Jobs", "check_all"]

_GATHER_S = 0.003
"""How long a batch waits for a request whose body is just being read. Nobody waits when nothing is on its way."""


def check_all(jobs: Sequence[BatchedJob[Any]]) -> None:
    """Raise as `Stop.check` does once every one of them should stop: one that still waits keeps the batch going."""
    for job in jobs:
        try:
            job.stop.check()
        except InferenceFailed as error:
            reason = error
        else:
            return
    raise reason


class Jobs:
    """Computes jobs. One event loop's property.

    Batches go one after another: `most` jobs of equal `batch_key` at once, while those of other keys wait.
    """

    def __init__(self, kind: Kind[Any], model: Model[Any], *, threads: Executor, most: int) -> None:
        self._kind = kind
        self._model = model
        self._threads = threads
        self._batching = model if most > 1 and isinstance(model, BatchingModel) else None
        self._most = most
        self._coming = 0
        self._waiting: list[_Waiting] = []
        self._lane = asyncio.Lock()

    @contextmanager
    def coming(self) -> Iterator[None]:
        """While the body of a request is read."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    async def run(self, job: BatchedJob[Any]) -> AiResult:
        """Have it done. Raises what the model does."""
        key = self._kind.batch_key(job.fields, job.upload) if self._batching else None
        if key is None:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._alone, job)
        mine = _Waiting(key, job)
        self._waiting.append(mine)
        # Whoever gets the lane computes for all that wait with the same key; they find their answer when it is theirs.
        try:
            async with self._lane:
                if mine.answer is None:
                    await self._compute_with(mine)
        finally:
            if mine in self._waiting:
                self._waiting.remove(mine)
        assert mine.answer is not None
        if isinstance(mine.answer, Exception):
            raise mine.answer
        return mine.answer

    async def _compute_with(self, mine: "_Waiting") -> None:
        if self._coming and len(self._waiting) < self._most:
            await asyncio.sleep(_GATHER_S)
        others = [one for one in self._waiting if one is not mine and one.key == mine.key]
        batch = [mine, *others[: self._most - 1]]
        self._waiting = [one for one in self._waiting if one not in batch]
        jobs = [one.job for one in batch]
        answers = await asyncio.get_running_loop().run_in_executor(self._threads, self._together, jobs)
        for one, answer in zip(batch, answers, strict=True):
            one.answer = answer

    def _alone(self, job: BatchedJob[Any]) -> AiResult:
        try:
            return self._model.run(job.fields, job.upload, job.seed, job.stop)
        except Exception:
            raise
        except BaseException as error:
            # `sys.exit` in a library, say: it may end the job but not the runner.
            raise RuntimeError(f"{type(error).__name__}: {error}") from error

    def _together(self, jobs: Sequence[BatchedJob[Any]]) -> Sequence[AiResult | Exception]:
        """An answer for each. What befalls a batch may be one job's doing, so then each has its own try."""
        if len(jobs) == 1:
            return [self._tried(jobs[0])]
        assert self._batching is not None
        try:
            answers = self._batching.run_batch(jobs)
        except Exception:  # noqa: BLE001 -- whatever it was, it is each job's own once it is alone
            return [self._tried(job) for job in jobs]
        return [_unless_stopped(job, answer) for job, answer in zip(jobs, answers, strict=True)]

    def _tried(self, job: BatchedJob[Any]) -> AiResult | Exception:
        try:
            return self._alone(job)
        except Exception as error:  # noqa: BLE001 -- handed to whoever waits for it
            return error


class _Waiting:
    """A job that waits for the lane."""

    def __init__(self, key: Hashable, job: BatchedJob[Any]) -> None:
        self.key = key
        self.job = job
        self.answer: AiResult | Exception | None = None


def _unless_stopped(job: BatchedJob[Any], answer: AiResult | Exception) -> AiResult | Exception:
    try:
        job.stop.check()
    except InferenceFailed as error:
        return error
    return answer
