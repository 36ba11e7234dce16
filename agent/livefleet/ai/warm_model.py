"""One placement kept loaded: a runner process, watched, and started again when it is lost."""

import asyncio
import logging
import os
import random
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

from livefleet.ai.advertising import RunnerView
from livefleet.ai.catalogue import Placement, resolve_source
from livefleet.ai.client import RunnerClient
from livefleet.ai.errors import RunnerHung, RunnerLost, RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.process import RunnerProcess, running
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.watch import RunnerHealth, RunnerState, Watch, WatchLimits
from livefleet.kernel import Backoff, LivefleetError, run_duty

__all__ = ["WarmModel"]

log = logging.getLogger(__name__)


class WarmModel:
    """Owns one runner at a time. `run` is its duty; everything else may be called beside it, on the same loop."""

    def __init__(
        self,
        placement: Placement,
        *,
        socket: Path,
        state_folder: Path,
        request_timeout_s: float,
        cpu_threads: int,
        limits: WatchLimits,
        rng: random.Random,
        on_change: Callable[[], None],
    ) -> None:
        self.placement = placement
        self.state = RunnerState.LOST if placement.entry.warm else RunnerState.COLD
        self.in_use = 0
        self.pid: int | None = None
        self._socket = socket
        self._state_folder = state_folder
        self._request_timeout_s = request_timeout_s
        self._cpu_threads = cpu_threads
        self._limits = limits
        self._rng = rng
        self._on_change = on_change
        self._wanted = asyncio.Event()
        self._settled = asyncio.Event()  # set while READY or LOST: a cold request waits for either
        self._reason, self._message = "NotStarted", "not started yet"
        self._fault: tuple[str, str] | None = None  # why it was lost last, until it is READY again
        self._runner_version = ""
        self._live: tuple[RunnerProcess, RunnerClient] | None = None  # while it is READY
        self._hung = False
        if placement.entry.warm:
            self._wanted.set()

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

    async def run(self) -> None:
        """Keep the runner until cancelled."""
        backoff = Backoff(first_s=1.0, factor=2.0, cap_s=60.0, jitter=0.2)
        name = f"model {self.placement.entry.model_id}"
        await run_duty(name, self._run_once, on_failure=self._lost, backoff=backoff, rng=self._rng)

    async def run_job(self, job: AiJob) -> AiResult:
        """Have it done by the runner. Raises RunnerRefused."""
        process, client = await self._loaded()
        with self._killing_what_hangs(process):
            return await client.run(job)

    async def stream_job(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks. Raises RunnerRefused."""
        process, client = await self._loaded()
        with self._killing_what_hangs(process):
            async with aclosing(client.stream(job)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _loaded(self) -> tuple[RunnerProcess, RunnerClient]:
        """The runner, for a cold model once it has loaded."""
        if not self.placement.entry.warm and self.state is not RunnerState.READY:
            self._wanted.set()
            await self._settled.wait()
        if self._live is None:
            raise RunnerRefused(f"{self.placement.entry.pipeline} container is not running: {self._message}")
        return self._live

    @contextmanager
    def _killing_what_hangs(self, process: RunnerProcess) -> Iterator[None]:
        try:
            yield
        except RunnerHung:
            self._hung = True
            process.kill()
            raise

    async def _run_once(self) -> None:
        if not self._wanted.is_set():
            self._now(RunnerState.COLD, "Cold", "loads at the first request")
            await self._wanted.wait()
        source = resolve_source(self.placement.entry, self._state_folder)
        settings = RunnerSettings(
            pipeline=self.placement.entry.pipeline,
            model_id=self.placement.entry.model_id,
            source=source.location,
            revision=source.revision,
            dtype=self.placement.dtype,
            device=self.placement.device,
            capacity=self.placement.entry.capacity,
            cpu_threads=self._cpu_threads,
            request_timeout_s=self._request_timeout_s,
            socket=self._socket,
            parent=os.getpid(),
        )
        self._hung = False
        self._now(RunnerState.LOADING, "Loading", f"loading {source.location} on {self.placement.device}")
        async with (
            running(settings, offline=source.is_folder, limits=self._limits) as process,
            RunnerClient(
                self._socket,
                self.placement.entry.pipeline,
                health_timeout_s=self._limits.health_timeout_s,
                request_limit_s=self._request_timeout_s + self._limits.cancel_grace_s,
            ) as client,
        ):
            self.pid = process.pid
            try:
                await self._watch(process, client)
            finally:
                self.pid = None
                self._live = None
                self.state = RunnerState.LOST

    async def _watch(self, process: RunnerProcess, client: RunnerClient) -> None:
        """Look at the runner until it is lost; raises RunnerLost."""
        clock = asyncio.get_running_loop().time
        watch = Watch(started=clock())
        try:
            while not await process.ended(watch.wait_s(self._limits)):
                before, health = watch, await client.health()
                watch = watch.after(health, now=clock(), limits=self._limits)
                if watch.ready and not before.ready:
                    await self._ready(process, client, clock() - watch.started)
                elif health is RunnerHealth.SILENT and watch.ready:
                    log.warning("ai.health_missed", extra={"model": self.placement.entry.model_id, "pid": process.pid})
        except RunnerLost:
            # It had its chance to answer; asking politely would only cost time.
            process.kill()
            raise
        if self._hung:
            raise RunnerLost("RequestHung", "a request went on past its time limit; the runner was killed")
        raise await process.post_mortem()

    async def _ready(self, process: RunnerProcess, client: RunnerClient, load_s: float) -> None:
        self._runner_version = await client.version()
        self._live = (process, client)
        log.info("ai.model_warm", extra={"model": self.placement.entry.model_id, "load_s": round(load_s, 2)})
        self._now(RunnerState.READY, "Answering", f"loaded on {self.placement.device} in {load_s:.1f} s")

    def _lost(self, error: BaseException) -> None:
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
            self._settled.set()
        else:
            self._settled.clear()
        self._on_change()
