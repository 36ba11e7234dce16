"""One placement's runner: loaded when it is due and there is memory, watched, and started again when it is lost."""

import asyncio
import logging
import os
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livefleet.ai.advertising import RunnerView
from livefleet.ai.catalogue import Placement, Source
from livefleet.ai.client import RunnerClient
from livefleet.ai.errors import NoCapacity, RunnerHung, RunnerLost, RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.launch import settings_of
from livefleet.ai.model_records import ModelRecord, ModelRecords, size_class
from livefleet.ai.pipelines import kind_of
from livefleet.ai.process import RunnerProcess, running
from livefleet.ai.residency import Need, claim_of, need_of, waits_too_long
from livefleet.ai.watch import RunnerHealth, RunnerState, Watch, WatchLimits
from livefleet.hardware import Lease, NoMemory, VramLedger
from livefleet.kernel import Backoff, LivefleetError, run_duty

__all__ = ["Residence", "SourceOf", "WarmModel"]

log = logging.getLogger(__name__)

SourceOf = Callable[[Placement], Awaitable[Source]]
"""Where a model's weights are; may fetch them first. Raises SourceMissing."""

_LAST_WORDS_S = 5.0  # its children may hold its standard output open
_ASK_AGAIN_S = 5.0  # for memory that strangers may have given back, which nobody tells


@dataclass(frozen=True, slots=True)
class _Live:
    """A runner that answers."""

    process: RunnerProcess
    client: RunnerClient
    lease: Lease


@dataclass(slots=True)
class Residence:
    """How often it came and went since the agent's start."""

    loads: int = 0
    losses: int = 0
    evictions: int = 0


class WarmModel:
    """Owns one runner at a time. `run` is its duty; everything else may be called beside it, on the same loop."""

    def __init__(
        self,
        placement: Placement,
        *,
        socket: Path,
        source_of: SourceOf,
        ledger: VramLedger,
        records: ModelRecords,
        request_timeout_s: float,
        cold_patience_s: float,
        cpu_threads: int,
        limits: WatchLimits,
        rng: random.Random,
        on_change: Callable[[], None],
    ) -> None:
        self.placement = placement
        self.state = RunnerState.LOST if placement.entry.warm else RunnerState.COLD
        self.in_use = 0
        self.waiting = 0
        self.pid: int | None = None
        self.residence = Residence()
        self._socket = socket
        self._source_of = source_of
        self._ledger = ledger
        self._records = records
        self._request_timeout_s = request_timeout_s
        self._cold_patience_s = cold_patience_s
        self._cpu_threads = cpu_threads
        self._limits = limits
        self._rng = rng
        self._on_change = on_change
        self._backoff = Backoff(first_s=1.0, factor=2.0, cap_s=60.0, jitter=0.2)
        self._wanted = asyncio.Event()
        self._arrival = asyncio.Event()  # set when the load that is wanted now has come to an end, good or bad
        self._reason, self._message = "NotStarted", "not started yet"
        self._fault: tuple[str, str] | None = None  # why it was lost last, until it is READY again
        self._runner_version = ""
        self._live: _Live | None = None  # while it is READY
        self._process: RunnerProcess | None = None
        self._source: Source | None = None  # as found last
        self._load_started = 0.0
        self._idle_from = 0.0
        self._running = 0
        self._runs = 0  # jobs begun so far: tells whether one had the process to itself
        self._hung = False
        self._refused_memory = False  # why the last load of a cold model did not happen
        self._gave_way = False
        if placement.entry.warm:
            self._wanted.set()

    @property
    def record(self) -> ModelRecord:
        """What was measured of it."""
        return self._records.of(self.placement)

    @property
    def need(self) -> Need:
        """What the next load is expected to take."""
        return need_of(self.placement, self.record, self._source)

    def view(self) -> RunnerView:
        """What is told of it."""
        entry = self.placement.entry
        ready = self.state is RunnerState.READY
        return RunnerView(
            pipeline=entry.pipeline,
            model_id=entry.model_id,
            declared_warm=entry.warm,
            state=self.state,
            reason=self._reason,
            message=self._message,
            faulty=self._fault is not None,
            capacity=entry.capacity,
            in_use=self.in_use,
            runner_version=self._runner_version if ready else "",
        )

    def idle_since(self) -> float | None:
        """For the ledger: seconds on the loop's clock; None while it works or loads."""
        is_idle = self._live is not None and not self.in_use and not self._running
        return self._idle_from if is_idle else None

    def give_way(self, to: str) -> None:
        """For the ledger: end the process now, which has nothing to do."""
        assert self._live is not None
        process, self._live = self._live.process, None
        self._gave_way = True
        self.residence.evictions += 1
        log.info("ai.model_evicted", extra={"model": self.placement.entry.model_id, "for": to})
        if self.placement.entry.warm:
            self._fault = ("GaveWay", f"gave its memory to {to}; it is loaded again when there is room")
            self._now(RunnerState.LOST, *self._fault)
        else:
            self._wanted.clear()
            self._now(RunnerState.COLD, "Cold", f"gave its memory to {to}; loads at the next request")
        process.kill()

    def admit(self) -> None:
        """Whether a request can be taken now, besides a place: it may have to wait until a cold model has loaded.

        Raises NoCapacity where that takes longer than gateways wait, or more memory than there is. What only takes too
        long is loaded all the same, for gateways that come back.
        """
        if self.state is RunnerState.READY:
            return
        entry, need, claim = self.placement.entry, self.need, claim_of(self.placement)
        is_loading = self.state is RunnerState.LOADING
        if not is_loading and not self._ledger.could(
            self.placement.device, entry.model_id, need.amount or 1, claim=claim, priority=entry.priority
        ):
            raise NoCapacity(entry.model_id, f"cold, and needs {need} of {self.placement.device}'s memory", memory=True)
        loading_for_s = asyncio.get_running_loop().time() - self._load_started if is_loading else 0.0
        if waits_too_long(need, loading_for_s=loading_for_s, patience_s=self._cold_patience_s):
            self.want()
            raise NoCapacity(
                entry.model_id, f"cold, and loading takes {need}; gateways wait {self._cold_patience_s:g} s"
            )

    def want(self) -> asyncio.Event:
        """Have it loaded; the event is set when that has come to an end, good or bad."""
        if not self._wanted.is_set():
            self._arrival = asyncio.Event()
            self._wanted.set()
        return self._arrival

    async def run(self) -> None:
        """Keep the runner until cancelled."""
        name = f"model {self.placement.entry.model_id}"
        await run_duty(name, self._keep, on_failure=self._lost, backoff=self._backoff, rng=self._rng)

    async def run_job(self, job: AiJob) -> AiResult:
        """Have it done by the runner. Raises RunnerRefused, and NoCapacity where its memory would not suffice."""
        live = await self._loaded()
        with self._memory_for(live, job) as measured:
            await self._memory_is_there(live)
            result = await live.client.run(job)
            self._backoff.reset()  # it works: whatever takes it down next is nothing of its own
            await measured()
            return result

    async def stream_job(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks. Raises as `run_job`."""
        live = await self._loaded()
        with self._memory_for(live, job) as measured:
            await self._memory_is_there(live)
            async with aclosing(live.client.stream(job)) as chunks:
                async for chunk in chunks:
                    yield chunk
            self._backoff.reset()
            await measured()

    async def _loaded(self) -> _Live:
        """The runner, for a cold model once it has loaded."""
        if not self.placement.entry.warm and self._live is None:
            await self._arrived()
        if self._live is None:
            # Nothing was begun, so gateways should ask elsewhere and come back rather than think ill of this node.
            raise NoCapacity(self.placement.entry.model_id, self._message, memory=self._refused_memory)
        return self._live

    async def _arrived(self) -> None:
        """Wait for the load to end, as long as gateways do; it goes on for those that come later."""
        self.waiting += 1
        try:
            async with asyncio.timeout(self._cold_patience_s):
                await self.want().wait()
        except TimeoutError:
            why = f"still cold after {self._cold_patience_s:g} s: {self._message}"
            raise NoCapacity(self.placement.entry.model_id, why) from None
        finally:
            self.waiting -= 1

    @contextmanager
    def _memory_for(self, live: _Live, job: AiJob) -> Iterator[Callable[[], Awaitable[None]]]:
        """Book what the job needs beyond the loaded model while it runs. What is given measures it afterwards."""
        size = size_class(job)
        extra = self.record.peak(size)
        try:
            live.lease.grow(extra)
        except NoMemory as error:
            raise NoCapacity(self.placement.entry.model_id, str(error), memory=True) from error
        is_alone = self._running == 0
        self._running += 1
        self._runs += 1
        number = self._runs

        async def measure() -> None:
            # With others beside it or after it nobody can tell whose peak it was.
            if is_alone and number == self._runs and size not in self.record.peaks:
                memory = await live.client.memory()
                if memory is not None and number == self._runs:
                    self._records.ran(self.placement, size, max(0, memory.peak - memory.loaded))

        try:
            yield measure
        except RunnerHung:
            self._hung = True
            live.process.kill()
            raise
        except RunnerRefused as error:
            if _is_out_of_memory(job, error):
                free = self._ledger.free(self.placement.device, claim_of(self.placement))
                # It needs more than there was, so until there is more it is not tried again.
                self._records.ran(self.placement, size, extra + max(0, free or 0) + 1)
            raise
        finally:
            self._running -= 1
            self._idle_from = asyncio.get_running_loop().time()
            live.lease.shrink(extra)

    async def _memory_is_there(self, live: _Live) -> None:
        try:
            await live.lease.ready()
        except NoMemory as error:
            raise NoCapacity(self.placement.entry.model_id, str(error), memory=True) from error

    async def _keep(self) -> None:
        while True:
            # Before anybody asks for it: files that are still to come should not cost a request its patience.
            self._source = source = await self._source_of(self.placement)
            if not self._wanted.is_set():
                if not self._refused_memory:
                    self._now(RunnerState.COLD, "Cold", "loads at the first request")
                await self._wanted.wait()
            self._refused_memory = False
            try:
                lease = await self._leased()
            except NoMemory as error:
                self._refused_memory = True
                self._wanted.clear()
                self._now(RunnerState.COLD, "NoMemory", str(error))
                self._arrival.set()
                continue
            try:
                await self._once(source, lease)
            finally:
                try:
                    await lease.seen_free()
                finally:
                    lease.release()

    async def _leased(self) -> Lease:
        """Memory for the load: a warm model waits for it, a cold one is refused. Raises NoMemory."""
        entry = self.placement.entry
        await self._ledger.look()
        while True:
            try:
                return await self._lease()
            except NoMemory as error:
                if not entry.warm:
                    raise
                self._fault = ("NoMemory", str(error))
                self._now(RunnerState.LOST, *self._fault)
            try:
                async with asyncio.timeout(_ASK_AGAIN_S):
                    await self._ledger.changed()
            except TimeoutError:
                await self._ledger.look()

    async def _lease(self) -> Lease:
        entry, device, claim, need = self.placement.entry, self.placement.device, claim_of(self.placement), self.need
        amount = need.amount
        if amount is None:
            # Whatever it turns out to need: nobody else loads meanwhile.
            amount = max(1, self._ledger.free(device, claim) or 1)
        lease = self._ledger.lease(device, entry.model_id, amount, claim=claim, priority=entry.priority, holder=self)
        try:
            await lease.ready()
        except BaseException:
            lease.release()
            raise
        return lease

    async def _once(self, source: Source, lease: Lease) -> None:
        """One runner from its start to its end. Raises RunnerLost unless it gave way."""
        entry = self.placement.entry
        settings = settings_of(
            self.placement,
            source,
            request_timeout_s=self._request_timeout_s,
            cpu_threads=self._cpu_threads,
            socket=self._socket,
            parent=os.getpid(),
        )
        self._hung = self._gave_way = False
        self._load_started = asyncio.get_running_loop().time()
        self.residence.loads += 1
        self._now(RunnerState.LOADING, "Loading", f"loading {source.location} on {self.placement.device} ({self.need})")
        # LoRAs may come from the hub even where the model itself is a folder.
        offline = source.is_folder and not entry.loras
        async with (
            running(settings, offline=offline, limits=self._limits) as process,
            RunnerClient(
                self._socket,
                entry.pipeline,
                health_timeout_s=self._limits.health_timeout_s,
                request_limit_s=self._request_timeout_s + self._limits.cancel_grace_s,
            ) as client,
        ):
            self.pid = process.pid
            lease.pids.add(process.pid)
            try:
                await self._watch(_Live(process, client, lease))
            finally:
                self.pid = None
                self._live = None

    async def _watch(self, live: _Live) -> None:
        """Look at the runner until it is lost; raises RunnerLost, returns when it gave way."""
        process, client = live.process, live.client
        clock = asyncio.get_running_loop().time
        watch = Watch(started=clock())
        try:
            while not await process.ended(watch.wait_s(self._limits)):
                before, health = watch, await client.health()
                watch = watch.after(health, now=clock(), limits=self._limits)
                if watch.ready and not before.ready:
                    await self._ready(live, clock() - watch.started)
                elif health is RunnerHealth.SILENT and watch.ready:
                    log.warning("ai.health_missed", extra={"model": self.placement.entry.model_id, "pid": process.pid})
        except RunnerLost as error:
            self._gone(error.reason, str(error))
            # It had its chance to answer; asking politely would only cost time.
            process.kill()
            raise
        if self._gave_way:
            return
        self._gone("RunnerDied", f"the runner (pid {process.pid}) ended")
        if self._hung:
            raise RunnerLost("RequestHung", "a request went on past its time limit; the runner was killed")
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                lost = await process.post_mortem()
        except TimeoutError:
            lost = RunnerLost("RunnerDied", f"the runner (pid {process.pid}) ended, and a child of it goes on")
        raise lost

    def _gone(self, reason: str, message: str) -> None:
        """Say so at once: burying the process may take longer than gateways should be misled."""
        self._live = None
        self._now(RunnerState.LOST, reason, message)

    async def _ready(self, live: _Live, load_s: float) -> None:
        self._runner_version = await live.client.version()
        await self._measure_load(live, load_s)
        if await live.process.ended(0):
            return
        self._live = live
        self._idle_from = asyncio.get_running_loop().time()
        log.info("ai.model_warm", extra={"model": self.placement.entry.model_id, "load_s": round(load_s, 2)})
        self._now(RunnerState.READY, "Answering", f"loaded on {self.placement.device} in {load_s:.1f} s")

    async def _measure_load(self, live: _Live, load_s: float) -> None:
        """Book what it holds, in place of what was expected."""
        memory = await live.client.memory()
        if memory is not None:
            live.lease.report(memory.loaded)
        await self._ledger.look()
        loaded = live.lease.held()
        self._records.loaded(self.placement, load_s=load_s, loaded=loaded)
        if loaded is not None:
            live.lease.resize(loaded)

    def _lost(self, error: BaseException) -> None:
        self.residence.losses += 1
        reason = error.reason if isinstance(error, RunnerLost) else type(error).__name__
        if not self.placement.entry.warm:
            self._wanted.clear()
        message = str(error) if isinstance(error, LivefleetError) else f"{type(error).__name__}: {error}"
        self._fault = (reason, message)
        self._now(RunnerState.LOST, reason, message)

    def _now(self, state: RunnerState, reason: str, message: str) -> None:
        self.state = state
        if state is RunnerState.READY:
            self._fault = None
        self._reason, self._message = self._fault or (reason, message)
        if state in {RunnerState.READY, RunnerState.LOST}:
            self._arrival.set()
        self._on_change()


def _is_out_of_memory(job: AiJob, error: RunnerRefused) -> bool:
    return kind_of(job.pipeline).out_of_memory in error.text or "out of memory" in error.text.lower()
