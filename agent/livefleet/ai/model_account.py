"""What the pool counts of one runner's jobs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from livefleet.ai.busy import NOT_COUNTED, Busy
from livefleet.ai.errors import NoCapacity, RunnerRefused
from livefleet.ai.jobs import AiJob
from livefleet.ai.pipelines import kind_of
from livefleet.ai.pool_snapshot import JobTimes, ModelSnapshot
from livefleet.ai.served import Served
from livefleet.ai.warm_model import WarmModel
from livefleet.ai.watch import RunnerState
from livefleet.spec import ModelOrder, Pipeline

__all__ = ["ModelAccount"]


class ModelAccount:
    """A runner, beside the numbers of its jobs since the agent's start."""

    def __init__(self, served: Served, busy: Busy = NOT_COUNTED) -> None:
        """`busy` for a model that does not wait for its load, and so does not tell by itself when it works."""
        self.served = served
        self._busy = busy
        self._times = JobTimes()
        self._jobs = 0
        self._failed = 0
        self._refused_memory = 0
        self._out_of_memory = 0

    def is_of(self, pipeline: Pipeline, model_id: str) -> bool:
        """Whether it serves that model."""
        entry = self.served.placement.entry
        return (entry.pipeline, entry.model_id) == (pipeline, model_id)

    def admit(self) -> None:
        """Raises NoCapacity where a request would have to wait too long, or for memory that is not there."""
        if not isinstance(self.served, WarmModel):
            return
        try:
            self.served.admit()
        except NoCapacity as error:
            self._refused_memory += error.memory
            raise

    def follow(self, order: ModelOrder | None) -> None:
        """Go by an operator's request; a model that something else serves is not ours to load."""
        if isinstance(self.served, WarmModel):
            self.served.follow(order)

    @contextmanager
    def counted(self, job: AiJob) -> Iterator[None]:
        """Count a job and its end."""
        started = time.monotonic()
        self._jobs += 1
        try:
            with self._busy():
                yield
        except NoCapacity as error:
            self._refused_memory += error.memory
            raise
        except RunnerRefused as error:
            self._failed += 1
            self._out_of_memory += kind_of(job.pipeline).out_of_memory in error.text
            raise
        self._times.add(time.monotonic() - started)

    def snapshot(self) -> ModelSnapshot:
        """As it is now."""
        model = self.served
        view, warm = model.view(), model if isinstance(model, WarmModel) else None
        need, record = (None, None) if warm is None else (warm.need, warm.record)
        return ModelSnapshot(
            pipeline=view.pipeline,
            model_id=view.model_id,
            device=model.placement.device if warm is not None else model.placement.entry.url or "",
            state=view.state.value,
            reason=view.reason,
            message=view.message,
            declared_warm=view.declared_warm,
            is_warm=view.state is RunnerState.READY,
            pid=model.pid,
            capacity=view.capacity,
            in_use=view.in_use,
            waiting=0 if warm is None else warm.waiting,
            load_s=None if record is None else record.load_s,
            loads=0 if warm is None else warm.residence.loads,
            losses=0 if warm is None else warm.residence.losses,
            evictions=0 if warm is None else warm.residence.evictions,
            loaded_bytes=None if record is None else record.loaded,
            peak_bytes_by_units={} if record is None else dict(record.peaks),
            expected_bytes=None if need is None else need.amount,
            is_expectation_measured=need is not None and not need.is_estimate,
            jobs=self._jobs,
            failed_jobs=self._failed,
            refused_memory=self._refused_memory,
            out_of_memory=self._out_of_memory,
            p50_s=self._times.share(0.5),
            p95_s=self._times.share(0.95),
            silences=0 if warm is None else warm.residence.silences,
            failed_proofs=0 if warm is None else warm.residence.failed_proofs,
            proved_ago_s=model.proved_ago_s,
            loading=None if warm is None else warm.loading(),
            order=None if warm is None else warm.orders.snapshot(),
        )
