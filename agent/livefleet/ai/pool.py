"""All models of a node: one runner a placement, places and memory counted here."""

import asyncio
import itertools
import logging
import os
import random
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from livefleet.ai.advertising import AdvertisedModel, advertised, conditions
from livefleet.ai.busy import NOT_COUNTED, Busy, BusyMeter
from livefleet.ai.catalogue import Placement, Source, resolve_source
from livefleet.ai.errors import NoCapacity
from livefleet.ai.external_model import ExternalModel
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.model_account import ModelAccount
from livefleet.ai.model_records import ModelRecords
from livefleet.ai.ollama import OllamaModel, is_ollama
from livefleet.ai.pool_snapshot import PoolSnapshot
from livefleet.ai.proof import PROOF_EVERY_S
from livefleet.ai.residency import claim_of
from livefleet.ai.runner_start import RunnerStart
from livefleet.ai.served import Served
from livefleet.ai.warm_model import SourceOf, WarmModel
from livefleet.ai.watch import WatchLimits
from livefleet.hardware import UncountedMemory, VramLedger
from livefleet.kernel import BadInput, ConditionBoard
from livefleet.spec import ModelOrder, Pipeline

__all__ = ["COLD_PATIENCE_S", "AiPool", "Reservation"]

log = logging.getLogger(__name__)

COLD_PATIENCE_S = 30.0
"""How long a request may wait for a cold model where nothing else is declared."""

_LOOK_S = 0.1  # at what a model that leaves has still to do
_LONGEST_SOCKET_PATH = 107  # bytes in sockaddr_un, less the closing zero


class Reservation:
    """A place for one request on one runner, held until the block that reserved it ends."""

    def __init__(self, account: ModelAccount, served: Served) -> None:
        self._account = account
        self._served = served

    async def run(self, job: AiJob) -> AiResult:
        """Have it done. Raises RunnerRefused with the text for gateways, NoCapacity where memory lacks.

        Cancelling stops the computing.
        """
        with self._account.counted(job):
            return await self._served.run_job(job)

    async def stream(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks. Raises as `run`; closing it stops the computing."""
        with self._account.counted(job):
            async with aclosing(self._served.stream_job(job)) as chunks:
                async for chunk in chunks:
                    yield chunk


class AiPool:
    """Starts and watches the runners while entered. One event loop's property.

    `ledger` None: memory is not counted. `source_of` None: weights are in a folder or are fetched by the runner itself.
    `tokens`: the secrets' texts of entries with a `url`, by the secret's name. What is measured of models is kept in
    `state_folder`. `meter` is told of the devices' time. Raises BadInput for a run folder whose path is too long to
    hold sockets.
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
        cold_patience_s: float = COLD_PATIENCE_S,
        limits: WatchLimits | None = None,
        cpu_threads: int | None = None,
        ledger: VramLedger | None = None,
        source_of: SourceOf | None = None,
        tokens: Mapping[str, str] | None = None,
        meter: BusyMeter | None = None,
        proof_every_s: float = PROOF_EVERY_S,
    ) -> None:
        self._run_dir = run_dir
        self._board = board
        self._stack = AsyncExitStack()
        self._listeners: list[Callable[[], None]] = []
        self._ledger = ledger or VramLedger(UncountedMemory())
        # Half the cores: the front door and transcoding have to stay quick beside a model on the CPU.
        threads = cpu_threads or max(1, (os.cpu_count() or 1) // 2)
        records = ModelRecords(state_folder)

        async def from_folder(placement: Placement) -> Source:
            return resolve_source(placement.entry, state_folder)

        def busy(placement: Placement, *, is_here: bool) -> Busy:
            if meter is None:
                return NOT_COUNTED
            entry = placement.entry
            device = placement.device if is_here else entry.url or ""
            return partial(meter.busy, entry.pipeline.value, entry.model_id, device, is_here=is_here)

        def account(number: int, placement: Placement) -> ModelAccount:
            if placement.entry.url is not None:
                return ModelAccount(served(number, placement), busy(placement, is_here=False))
            return ModelAccount(served(number, placement))

        def served(number: int, placement: Placement) -> Served:
            token = placement.entry.token
            if placement.entry.url is not None:
                elsewhere: dict[str, Any] = {
                    "token": None if token is None else (tokens or {})[token],
                    "request_timeout_s": request_timeout_s,
                    "rng": rng,
                    "on_change": self._report,
                }
                if is_ollama(placement.entry):
                    return OllamaModel(placement, **elsewhere)
                return ExternalModel(placement, **elsewhere, proof_every_s=proof_every_s)
            return WarmModel(
                placement,
                start=RunnerStart(_socket_path(run_dir, number), request_timeout_s, threads, limits or WatchLimits()),
                source_of=source_of or from_folder,
                ledger=self._ledger,
                records=records,
                cold_patience_s=cold_patience_s,
                rng=rng,
                on_change=self._report,
                busy=busy(placement, is_here=True),
                proof_every_s=proof_every_s,
            )

        self._numbers = itertools.count()
        self._served_for: Callable[[Placement], Served] = lambda placement: served(next(self._numbers), placement)
        self._accounts = [account(next(self._numbers), placement) for placement in placements]
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[Served, asyncio.Task[None]] = {}
        self._leaving: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._report()
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._group = group
        for model in self._models:
            self._keep(model)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._group = None
        for task in (*self._tasks.values(), *self._leaving):
            task.cancel()
        # An error of the block is its own, none of the group's.
        await self._stack.__aexit__(None, None, None)

    def advertised(self) -> tuple[AdvertisedModel, ...]:
        """What can be asked for now."""
        return advertised(model.view() for model in self._models)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call it whenever a model's state changes, at once; it must not block. `advertised` tells what is."""
        self._listeners.append(listener)

    def follow(self, orders: Sequence[ModelOrder]) -> None:
        """Go by operators' requests of single models from now on, and by nothing else that was asked before."""
        for account in self._accounts:
            entry = account.served.placement.entry
            account.follow(next((order for order in orders if order.is_of(entry.pipeline, entry.model_id)), None))

    def avoid(self, aside: Mapping[str, str], others: Collection[str]) -> None:
        """Run nothing on the GPUs `aside` (UUID to why) from now on, and on all others again.

        A model that was not declared for that very GPU goes to one of `others` that has room for it; else it waits for
        its own. Its jobs go on where they are. Saying it again changes nothing.
        """
        for account in self._accounts:
            model = account.served
            if not isinstance(model, WarmModel):
                continue
            why = aside.get(model.placement.device, "")
            device = self._other_device(model, others) if why else None
            if device is None:
                model.keep_away(why)
            else:
                self._move(account, model, device, why)

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Where each model is for now."""
        return tuple(model.placement for model in self._models)

    def runner_pids(self) -> dict[str, tuple[int, ...]]:
        """Processes by model id, for /status."""
        pids: dict[str, tuple[int, ...]] = {}
        for model in self._models:
            if model.pid is not None:
                pids[model.placement.entry.model_id] = (*pids.get(model.placement.entry.model_id, ()), model.pid)
        return pids

    def snapshot(self) -> PoolSnapshot:
        """Everything that is known of the models and their devices now."""
        devices = dict.fromkeys(m.placement.device for m in self._models if isinstance(m, WarmModel))
        return PoolSnapshot(
            models=tuple(account.snapshot() for account in self._accounts),
            devices=tuple(self._ledger.book_of(device) for device in devices),
        )

    @contextmanager
    def reserve(self, pipeline: Pipeline, model_id: str) -> Iterator[Reservation]:
        """Hold a place before payment is taken. Raises NoCapacity, also for models that are not served here.

        A place on a cold model is held only where loading takes no longer than gateways wait and its memory is there.
        """
        asked = [account for account in self._accounts if account.is_of(pipeline, model_id)]
        if not asked:
            raise NoCapacity(model_id, "no such model here")
        best = max(asked, key=lambda account: account.served.view().preference)
        if best.served.view().free <= 0:
            views = [account.served.view() for account in asked]
            raise NoCapacity(model_id, "; ".join(f"{v.state}, {v.in_use} of {v.capacity} in use" for v in views))
        best.admit()
        served = best.served  # where its place is, also when the model moves to another GPU meanwhile
        served.in_use += 1
        try:
            yield Reservation(best, served)
        finally:
            served.in_use -= 1

    async def run(self, job: AiJob) -> AiResult:
        """Reserve and do. Raises NoCapacity, RunnerRefused; both carry the wire's text and status."""
        with self.reserve(job.pipeline, job.model_id) as place:
            return await place.run(job)

    @property
    def _models(self) -> list[Served]:
        return [account.served for account in self._accounts]

    def _keep(self, model: Served) -> None:
        assert self._group is not None
        self._tasks[model] = self._group.create_task(model.run(), name=model.placement.entry.model_id)

    def _other_device(self, model: WarmModel, others: Collection[str]) -> str | None:
        """The one with the most room, of those where the model would fit."""
        entry, claim = model.placement.entry, claim_of(model.placement)
        if entry.device != "auto":
            return None
        need = model.need.amount or 1
        fitting = [
            device
            for device in others
            if self._ledger.could(device, entry.model_id, need, claim=claim, priority=entry.priority)
        ]
        return max(fitting, key=lambda device: self._ledger.free(device, claim) or 0, default=None)

    def _move(self, account: ModelAccount, old: WarmModel, device: str, why: str) -> None:
        new = self._served_for(replace(old.placement, device=device))
        assert isinstance(new, WarmModel)
        log.info("ai.model_moved", extra={"model": old.placement.entry.model_id, "to": device, "why": why})
        new.follow(old.orders.order)
        account.served = new
        old.keep_away(why)
        if self._group is not None:
            self._keep(new)
            self._leaving.append(self._group.create_task(self._see_out(old), name="model-leaves"))
        self._report()

    async def _see_out(self, old: WarmModel) -> None:
        """Until its last job is done and its process has ended."""
        while not old.is_over:  # noqa: ASYNC110 -- places are counted by others
            await asyncio.sleep(_LOOK_S)
        self._tasks.pop(old).cancel()

    def _report(self) -> None:
        for condition in conditions(model.view() for model in self._models):
            self._board.report(condition)
        for listener in self._listeners:
            listener()


def _socket_path(run_dir: Path, number: int) -> Path:
    path = run_dir / f"ai-{number}.sock"
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise BadInput(f"{path} is too long for a unix socket; choose a shorter root")
    return path
