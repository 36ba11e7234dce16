"""A runner of ours that has loaded: its jobs, the memory they need, its proofs, and why it has to end."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

from livefleet.ai.busy import NOT_COUNTED, Busy
from livefleet.ai.catalogue import Placement
from livefleet.ai.client import RunnerClient
from livefleet.ai.errors import NoCapacity, RunnerHung, RunnerLost, RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.model_records import ModelRecords, size_class
from livefleet.ai.pipelines import kind_of
from livefleet.ai.process import RunnerProcess
from livefleet.ai.proof import Prover, proof_job
from livefleet.ai.residency import claim_of
from livefleet.hardware import Lease, NoMemory, VramLedger

__all__ = ["LiveRunner"]


class LiveRunner:
    """One process, from its start to its end. One event loop's property.

    `on_answer` is called when a job or a proof has come to a good end; `busy` counts the device's time for jobs.
    """

    def __init__(
        self,
        placement: Placement,
        process: RunnerProcess,
        client: RunnerClient,
        lease: Lease,
        *,
        ledger: VramLedger,
        records: ModelRecords,
        on_answer: Callable[[], None],
        busy: Busy = NOT_COUNTED,
    ) -> None:
        self.process = process
        self.client = client
        self.lease = lease
        self.condemned: RunnerLost | None = None
        """Why it was killed; None: it was not, or by others."""

        self.running = 0
        """Jobs and proofs under way."""

        self.idle_from = asyncio.get_running_loop().time()
        self._placement = placement
        self._ledger = ledger
        self._records = records
        self._on_answer = on_answer
        self._busy = busy
        self._prover = Prover(client, proof_job(placement))
        self._runs = 0  # begun so far: tells whether one had the process to itself

    async def run_job(self, job: AiJob) -> AiResult:
        """Have it done. Raises RunnerRefused, and NoCapacity where its memory would not suffice."""
        self._prover.give_way()
        with self._memory_for(job) as measured:
            await self._memory_is_there()
            with self._busy():
                result = await self.client.run(job)
            self._on_answer()
            await measured()
            return result

    async def stream_job(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks. Raises as `run_job`."""
        self._prover.give_way()
        with self._memory_for(job) as measured:
            await self._memory_is_there()
            with self._busy():
                async with aclosing(self.client.stream(job)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            self._on_answer()
            await measured()

    async def measure_load(self, load_s: float) -> None:
        """Book what it holds now that it has loaded, in place of what was expected."""
        memory = await self.client.memory()
        if memory is not None:
            self.lease.report(memory.loaded)
        await self._ledger.look()
        loaded = self.lease.held()
        self._records.loaded(self._placement, load_s=load_s, loaded=loaded)
        if loaded is not None:
            self.lease.resize(loaded)

    async def prove(self) -> bool:
        """Have it do its proof; False where it gave way to a job. Raises RunnerRefused.

        What it needs was booked with the model, which made one when it had loaded.
        """
        with self._counted():
            is_proved = await self._prover.prove()
        if is_proved:
            self._on_answer()
        return is_proved

    def stop_proving(self) -> None:
        """Let go of a proof under way."""
        self._prover.give_way()

    def condemn(self, why: RunnerLost) -> None:
        """Kill it; the first reason counts."""
        self.condemned = self.condemned or why
        self.process.kill()

    @contextmanager
    def _counted(self) -> Iterator[int]:
        """Its number among all that were begun."""
        self.running += 1
        self._runs += 1
        try:
            yield self._runs
        finally:
            self.running -= 1
            self.idle_from = asyncio.get_running_loop().time()

    @contextmanager
    def _memory_for(self, job: AiJob) -> Iterator[Callable[[], Awaitable[None]]]:
        """Book what the job needs beyond the loaded model while it runs. What is given measures it afterwards."""
        size, model = size_class(job), self._placement.entry.model_id
        extra = self._records.of(self._placement).peak(size)
        try:
            self.lease.grow(extra)
        except NoMemory as error:
            raise NoCapacity(model, str(error), memory=True) from error
        is_alone = self.running == 0
        try:
            with self._counted() as number:

                async def measure() -> None:
                    # With others beside it or after it nobody can tell whose peak it was.
                    if is_alone and number == self._runs and size not in self._records.of(self._placement).peaks:
                        memory = await self.client.memory()
                        if memory is not None and number == self._runs:
                            self._records.ran(self._placement, size, max(0, memory.peak - memory.loaded))

                yield measure
        except RunnerHung:
            why = "a request went on past its time limit; the runner was killed"
            self.condemn(RunnerLost("RequestHung", why))
            raise
        except RunnerRefused as error:
            if _is_out_of_memory(job, error):
                free = self._ledger.free(self._placement.device, claim_of(self._placement))
                # It needs more than there was, so until there is more it is not tried again.
                self._records.ran(self._placement, size, extra + max(0, free or 0) + 1)
            raise
        finally:
            self.lease.shrink(extra)

    async def _memory_is_there(self) -> None:
        try:
            await self.lease.ready()
        except NoMemory as error:
            raise NoCapacity(self._placement.entry.model_id, str(error), memory=True) from error


def _is_out_of_memory(job: AiJob, error: RunnerRefused) -> bool:
    return kind_of(job.pipeline).out_of_memory in error.text or "out of memory" in error.text.lower()
