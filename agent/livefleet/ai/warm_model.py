"""One placement's model: loaded when it is due and there is memory, offered while it is proved to work, loaded again.

What it is offered as, and when it loads; `live_runner.py` is the process that has loaded.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from livefleet.ai.advertising import RunnerView
from livefleet.ai.busy import NOT_COUNTED, Busy
from livefleet.ai.catalogue import Placement, Source
from livefleet.ai.demand import Demand
from livefleet.ai.errors import NoCapacity, RunnerLost, RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.live_runner import LiveRunner
from livefleet.ai.load_progress import LoadProgress, LoadSnapshot
from livefleet.ai.load_room import LoadRoom
from livefleet.ai.model_records import ModelRecord, ModelRecords
from livefleet.ai.order_book import OrderBook
from livefleet.ai.pool_snapshot import Residence
from livefleet.ai.proof import PROOF_EVERY_S, ProofClock
from livefleet.ai.residency import Need, need_of, waits_too_long
from livefleet.ai.runner_line import LoadStep
from livefleet.ai.runner_start import RunnerStart
from livefleet.ai.runner_watch import RunnerWatch
from livefleet.ai.standing import Standing
from livefleet.ai.watch import RunnerState
from livefleet.hardware import Lease, NoMemory, VramLedger
from livefleet.kernel import Backoff, LivefleetError, run_duty
from livefleet.spec import ModelOrder, ModelWish

__all__ = ["SourceOf", "WarmModel"]

log = logging.getLogger(__name__)

SourceOf = Callable[[Placement], Awaitable[Source]]
"""Where a model's weights are; may fetch them first. Raises SourceMissing."""

_LOOK_S = 0.1  # at what keeps a model that is to be unloaded


class WarmModel:
    """Owns one runner at a time. `run` is its duty; everything else may be called beside it, on the same loop."""

    def __init__(
        self,
        placement: Placement,
        *,
        start: RunnerStart,
        source_of: SourceOf,
        ledger: VramLedger,
        records: ModelRecords,
        cold_patience_s: float,
        rng: random.Random,
        on_change: Callable[[], None],
        proof_every_s: float = PROOF_EVERY_S,
        busy: Busy = NOT_COUNTED,
    ) -> None:
        clock = asyncio.get_running_loop().time
        self.placement = placement
        self.in_use = 0
        self.residence = Residence()
        self.orders = OrderBook()
        at_first = RunnerState.LOST if placement.entry.warm else RunnerState.COLD
        self._standing = Standing(at_first, orders=self.orders, on_change=on_change)
        self._start = start
        self._source_of = source_of
        self._ledger = ledger
        self._records = records
        self._cold_patience_s = cold_patience_s
        self._rng = rng
        self._busy = busy
        self._clock = clock
        self._proofs = ProofClock(proof_every_s, clock)
        self._room = LoadRoom(placement, ledger, holder=self)
        self._progress = LoadProgress(clock)
        self._backoff = Backoff(first_s=1.0, factor=2.0, cap_s=60.0, jitter=0.2)
        self._demand = Demand(is_wanted=placement.entry.warm)
        self._turn = asyncio.Event()  # an order came
        self._starts_over = False  # what is under way is of no use: a wait after a failure
        self._runner_version = ""
        self._process: LiveRunner | None = None
        self._live: LiveRunner | None = None  # of it, while it can be asked
        self._source: Source | None = None  # as found last
        self._refused_memory = False  # why the last load of a cold model did not happen
        self._gave_way = False

    @property
    def state(self) -> RunnerState:
        """What is told of it."""
        return self._standing.state

    @property
    def waiting(self) -> int:
        """Requests that wait for it to load."""
        return self._demand.waiting

    @property
    def pid(self) -> int | None:
        """Its process, while it has one."""
        return None if self._process is None else self._process.process.pid

    @property
    def record(self) -> ModelRecord:
        """What was measured of it."""
        return self._records.of(self.placement)

    @property
    def need(self) -> Need:
        """What the next load is expected to take."""
        return need_of(self.placement, self.record, self._source)

    @property
    def proved_ago_s(self) -> float | None:
        """Since its last answer; None while it is not loaded."""
        return None if self._live is None else self._proofs.ago_s

    def loading(self) -> LoadSnapshot | None:
        """How far a load is."""
        return self._progress.snapshot(self.need)

    def view(self) -> RunnerView:
        """What is told of it."""
        entry = self.placement.entry
        ready = self.state is RunnerState.READY
        return RunnerView(
            pipeline=entry.pipeline,
            model_id=entry.model_id,
            declared_warm=entry.warm,
            state=self.state,
            reason=self._standing.reason,
            message=self._standing.message,
            faulty=self._standing.is_faulty,
            capacity=entry.capacity,
            in_use=self.in_use,
            runner_version=self._runner_version if ready else "",
        )

    def idle_since(self) -> float | None:
        """For the ledger: seconds on the loop's clock; None while it works or loads."""
        live = self._live
        return live.idle_from if live is not None and not self.in_use and not live.running else None

    def give_way(self, to: str) -> None:
        """For the ledger: end the process now, which has nothing to do."""
        assert self._live is not None
        process, self._live = self._live.process, None
        self._gave_way = True
        self.residence.evictions += 1
        log.info("ai.model_evicted", extra={"model": self.placement.entry.model_id, "for": to})
        if self.placement.entry.warm:
            why = f"gave its memory to {to}; it is loaded again when there is room"
            self._standing.fails(RunnerState.LOST, "GaveWay", why)
        else:
            self._demand.drop()
            self._standing.is_now(RunnerState.COLD, "Cold", f"gave its memory to {to}; loads at the next request")
        process.kill()

    def follow(self, order: ModelOrder | None) -> None:
        """Go by an operator's request from now on; None: by what is declared. Saying it again changes nothing.

        Unloading takes it out of what is offered at once, and ends the process when no job needs it any more. Loading
        takes that back, and begins at once.
        """
        was_away = self.orders.is_put_away
        if self.orders.takes(order):
            self._turns(was_away=was_away, is_asked=order is not None and order.wish is ModelWish.LOAD)

    def keep_away(self, why: str) -> None:
        """Its GPU gets no work, and this says why; empty: it does again. Saying it again changes nothing.

        It is out of what is offered at once. Its jobs go on to their end, and then its process ends.
        """
        was_away = self.orders.is_put_away
        if why != self.orders.aside:
            self.orders.aside = why
            self._turns(was_away=was_away, is_asked=False)

    @property
    def is_over(self) -> bool:
        """Whether it is kept away, and no job and no process of it is left."""
        return self.orders.is_put_away and not self._is_busy() and self._process is None

    def _turns(self, *, was_away: bool, is_asked: bool) -> None:
        if self.orders.is_put_away:
            self._demand.drop()
            if self._live is not None:
                self._live.stop_proving()
            self._standing.is_put_away(is_busy=self._is_busy())
            self.orders.not_loaded(self._standing.message)
        else:
            if was_away:
                self._is_back()
            if self.state is RunnerState.READY:
                self.orders.loaded(self._standing.message)
            elif is_asked or self.placement.entry.warm:
                # What waits after a failure, or for memory that a cold model was refused, need not wait any longer.
                self._starts_over = self._process is None
                self._demand.want()
        self._turn.set()

    def admit(self) -> None:
        """Whether a request can be taken now, besides a place: it may have to wait until a cold model has loaded.

        Raises NoCapacity where that takes longer than gateways wait, or more memory than there is. What only takes too
        long is loaded all the same, for gateways that come back.
        """
        if self.state is RunnerState.READY:
            return
        entry, need = self.placement.entry, self.need
        is_loading = self.state is RunnerState.LOADING
        if not is_loading and not self._room.could_be(need):
            raise NoCapacity(entry.model_id, f"cold, and needs {need} of {self.placement.device}'s memory", memory=True)
        loading_for_s = self._progress.loading_for_s() if is_loading else 0.0
        if waits_too_long(need, loading_for_s=loading_for_s, patience_s=self._cold_patience_s):
            self._demand.want()
            raise NoCapacity(
                entry.model_id, f"cold, and loading takes {need}; gateways wait {self._cold_patience_s:g} s"
            )

    async def run(self) -> None:
        """Keep the runner, or keep it away, until cancelled."""
        name = f"model {self.placement.entry.model_id}"
        while True:
            self._starts_over = False
            async with asyncio.TaskGroup() as group:
                duty = run_duty(name, self._keep, on_failure=self._lost, backoff=self._backoff, rng=self._rng)
                keeping = group.create_task(duty, name=name)
                await self._until_it_has_to_end()
                keeping.cancel()
            self._progress.ends()
            self._backoff.reset()
            while self.orders.is_put_away:
                self._standing.is_put_away(is_busy=False)
                self.orders.unloaded("unloaded; its memory is free")
                await self._turn.wait()
                self._turn.clear()

    async def run_job(self, job: AiJob) -> AiResult:
        """Have it done by the runner. Raises RunnerRefused, and NoCapacity where its memory would not suffice."""
        return await (await self._loaded()).run_job(job)

    async def stream_job(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks. Raises as `run_job`."""
        async with aclosing((await self._loaded()).stream_job(job)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _loaded(self) -> LiveRunner:
        """The runner, for a cold model once it has loaded."""
        entry = self.placement.entry
        if not entry.warm and self._live is None:
            try:
                await self._demand.outcome(self._cold_patience_s)
            except TimeoutError:
                why = f"still cold after {self._cold_patience_s:g} s: {self._standing.message}"
                raise NoCapacity(entry.model_id, why) from None
        if self._live is None:
            # Nothing was begun, so gateways should ask elsewhere and come back rather than think ill of this node.
            raise NoCapacity(entry.model_id, self._standing.message, memory=self._refused_memory)
        return self._live

    async def _until_it_has_to_end(self) -> None:
        """Until it is put away and no job needs it, or what is under way is of no use to what is asked now."""
        while True:
            await self._turn.wait()
            self._turn.clear()
            while self.orders.is_put_away and self._is_busy():  # noqa: ASYNC110 -- places are counted by others
                await asyncio.sleep(_LOOK_S)
            if self.orders.is_put_away or self._starts_over:
                return

    def _is_busy(self) -> bool:
        return self.in_use > 0 or (self._process is not None and self._process.running > 0)

    async def _keep(self) -> None:
        while True:
            # Before anybody asks for it: files that are still to come should not cost a request its patience.
            self._progress.waits_for(LoadStep.WEIGHTS)
            self._source = source = await self._source_of(self.placement)
            if not self._demand.is_wanted:
                self._progress.ends()
                if not self._refused_memory:
                    self._standing.is_now(RunnerState.COLD, "Cold", "loads at the first request")
                await self._demand.arises()
            self._refused_memory = False
            self._progress.waits_for(LoadStep.MEMORY)
            try:
                lease = await self._room.lease(
                    lambda: self.need, waits=self._waits_for_memory if self.placement.entry.warm else None
                )
            except NoMemory as error:
                self._refuse_memory(error)
                continue
            try:
                await self._once(source, lease)
            finally:
                self._progress.ends()
                try:
                    await lease.seen_free()
                finally:
                    lease.release()

    def _waits_for_memory(self, error: NoMemory) -> None:
        self.orders.not_loaded(f"no room now, loaded when there is: {error}")
        self._standing.fails(RunnerState.LOST, "NoMemory", str(error))

    def _refuse_memory(self, error: NoMemory) -> None:
        self._progress.ends()
        self._refused_memory = True
        self._demand.drop()
        self.orders.not_loaded(str(error))
        self._standing.is_now(RunnerState.COLD, "NoMemory", str(error))
        self._demand.ends()

    async def _once(self, source: Source, lease: Lease) -> None:
        """One runner from its start to its end. Raises RunnerLost unless it gave way."""
        self._gave_way = False
        self._progress.starts()
        self.residence.loads += 1
        where, need = self.placement.device, self.need
        self._standing.is_now(RunnerState.LOADING, "Loading", f"loading {source.location} on {where} ({need})")
        async with self._start.started(self.placement, source) as (process, client):
            self._progress.goes_by(lambda: process.step)
            lease.pids.add(process.pid)
            live = LiveRunner(
                self.placement, process, client, lease,
                ledger=self._ledger, records=self._records, on_answer=self._answered, busy=self._busy,
            )  # fmt: skip
            self._process = live
            try:
                async with RunnerWatch(live, self, self._start.limits) as watch:
                    await watch.until_it_ends()
            finally:
                self._process = self._live = None

    async def came(self, live: LiveRunner) -> None:
        """It has loaded, and done its first small job."""
        load_s = self._clock() - self._progress.started
        self._runner_version = await live.client.version()
        await live.measure_load(load_s)
        if await live.process.ended(0):
            return
        self._progress.ends()
        self._live = live
        self._demand.ends()
        live.idle_from = self._clock()
        self._proofs.proved()
        log.info("ai.model_warm", extra={"model": self.placement.entry.model_id, "load_s": round(load_s, 2)})
        self._standing.is_now(RunnerState.READY, "Answering", f"loaded on {self.placement.device} in {load_s:.1f} s")

    def went_silent(self, silence_s: float) -> None:
        """It gives no sign of life: nobody is to be sent to it."""
        if self.state is not RunnerState.READY:
            return
        self.residence.silences += 1
        log.warning("ai.model_silent", extra={"model": self.placement.entry.model_id, "pid": self.pid})
        self._standing.fails(RunnerState.HUNG, "Hung", f"no sign of life for {silence_s:.1f} s")

    def proof_is_due(self) -> bool:
        """Whether it has to show that it works: where it was silent, or has answered nothing for long and is idle."""
        if self.state is RunnerState.HUNG:
            return True
        return self.state is RunnerState.READY and self._proofs.is_due() and not self._is_busy()

    def proof_failed(self, live: LiveRunner, error: RunnerRefused) -> None:
        """It does not work, whatever it says of itself: it is retracted, and loaded again."""
        self.residence.failed_proofs += 1
        why = f"it did not do its proof: {error.text}"
        self.gone("ProofFailed", why)
        live.condemn(RunnerLost("ProofFailed", why))

    def gone(self, reason: str, message: str) -> None:
        """Say so at once: burying the process may take longer than gateways should be misled."""
        if self._gave_way:
            return
        self._live = None
        self._demand.ends()
        self._standing.fails(RunnerState.LOST, reason, message)

    @property
    def gave_way(self) -> bool:
        """Whether its process was ended for the sake of others."""
        return self._gave_way

    def _answered(self) -> None:
        """A job or a proof has come to a good end."""
        self._proofs.proved()
        self._backoff.reset()  # it works: whatever takes it down next is nothing of its own
        if self.state is RunnerState.HUNG:
            self._standing.is_now(RunnerState.READY, "Answering", f"answers again, on {self.placement.device}")

    def _lost(self, error: BaseException) -> None:
        self.residence.losses += 1
        self._progress.ends()
        reason = error.reason if isinstance(error, RunnerLost) else type(error).__name__
        if not self.placement.entry.warm:
            self._demand.drop()
        message = str(error) if isinstance(error, LivefleetError) else f"{type(error).__name__}: {error}"
        self.orders.not_loaded(message)
        self._demand.ends()
        self._standing.fails(RunnerState.LOST, reason, message)

    def _is_back(self) -> None:
        """It is not put away any more: what is told of it is what is."""
        if self._live is not None:
            self._standing.is_now(RunnerState.READY, "Answering", f"loaded on {self.placement.device}")
        elif self._process is not None:
            self._standing.is_now(RunnerState.LOADING, "Loading", f"loading on {self.placement.device}")
        elif self.placement.entry.warm:
            self._standing.is_now(RunnerState.LOST, "NotStarted", "not started yet")
        else:
            self._standing.is_now(RunnerState.COLD, "Cold", "loads at the first request")
