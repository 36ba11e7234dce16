"""A model that something else serves: an ai-runner container, or anything with its HTTP API. Asked and watched only."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

from livefleet.ai.advertising import RunnerView
from livefleet.ai.catalogue import Placement
from livefleet.ai.client import RunnerClient
from livefleet.ai.errors import RunnerLost, RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.watch import RunnerHealth, RunnerState, Watch, WatchLimits
from livefleet.kernel import Backoff, LivefleetError, run_duty

__all__ = ["EXTERNAL_LIMITS", "ExternalModel"]

log = logging.getLogger(__name__)

EXTERNAL_LIMITS: Final = WatchLimits(load_timeout_s=120.0)
"""As long as a Go worker waits for a runner that it did not start."""


class ExternalModel:
    """Looks at the runner at the entry's `url`, and asks it while it is healthy. It is never started or stopped.

    `run` is its duty; everything else may be called beside it, on the same loop.
    """

    pid: None = None

    def __init__(
        self,
        placement: Placement,
        *,
        token: str | None,
        request_timeout_s: float,
        rng: random.Random,
        on_change: Callable[[], None],
        limits: WatchLimits = EXTERNAL_LIMITS,
    ) -> None:
        """`token`: what the entry's secret holds."""
        assert placement.entry.url is not None
        self.placement = placement
        self.in_use = 0
        self.state = RunnerState.LOADING
        self.gpu_info: Mapping[str, Any] = {}  # as ai-runner tells it, read whenever the runner has come (back)
        self._url = placement.entry.url.rstrip("/")
        self._token = token
        self._request_limit_s = request_timeout_s + limits.cancel_grace_s
        self._limits = limits
        self._rng = rng
        self._on_change = on_change
        self._reason, self._message = "Waiting", f"waiting for {self._url}"
        self._is_faulty = False
        self._version = ""
        self._client: RunnerClient | None = None  # while it is READY

    def view(self) -> RunnerView:
        """What is told of it. Nobody loads it for a request, so it counts as one that is declared warm."""
        entry = self.placement.entry
        return RunnerView(
            pipeline=entry.pipeline,
            model_id=entry.model_id,
            declared_warm=True,
            state=self.state,
            reason=self._reason,
            message=self._message,
            faulty=self._is_faulty,
            capacity=entry.capacity,
            in_use=self.in_use,
            runner_version=self._version if self.state is RunnerState.READY else "",
        )

    async def run(self) -> None:
        """Keep looking until cancelled."""
        backoff = Backoff(first_s=1.0, factor=2.0, cap_s=60.0, jitter=0.2)
        name = f"model {self.placement.entry.model_id} at {self._url}"
        await run_duty(name, self._look, on_failure=self._lost, backoff=backoff, rng=self._rng)

    async def run_job(self, job: AiJob) -> AiResult:
        """Have it done there. Raises RunnerRefused. Cancelling closes the connection, which is how it is told."""
        return await self._answering().run(job)

    async def stream_job(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks. Raises RunnerRefused."""
        async with aclosing(self._answering().stream(job)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _answering(self) -> RunnerClient:
        if self._client is None:
            raise RunnerRefused(f"{self.placement.entry.pipeline} container is not running: {self._message}")
        return self._client

    async def _look(self) -> None:
        """Until it is lost; raises RunnerLost."""
        clock = asyncio.get_running_loop().time
        watch = Watch(started=clock())
        self._now(RunnerState.LOADING, "Waiting", f"waiting for {self._url}")
        async with RunnerClient(
            self._url,
            self.placement.entry.pipeline,
            health_timeout_s=self._limits.health_timeout_s,
            request_limit_s=self._request_limit_s,
            token=self._token,
        ) as client:
            try:
                while True:
                    before, health = watch, await client.health()
                    watch = watch.after(health, now=clock(), limits=self._limits)
                    if watch.ready and not before.ready:
                        await self._came(client)
                    elif health is RunnerHealth.SILENT and watch.ready:
                        log.warning(
                            "ai.health_missed", extra={"model": self.placement.entry.model_id, "url": self._url}
                        )
                    await asyncio.sleep(watch.wait_s(self._limits))
            finally:
                self._client = None
                self.state = RunnerState.LOST

    async def _came(self, client: RunnerClient) -> None:
        self._version = await client.version()
        self.gpu_info = await client.gpu_info()
        self._client = client
        self._is_faulty = False
        log.info("ai.external_model_answers", extra={"model": self.placement.entry.model_id, "url": self._url})
        self._now(RunnerState.READY, "Answering", f"served at {self._url}")

    def _lost(self, error: BaseException) -> None:
        self._is_faulty = True
        reason = error.reason if isinstance(error, RunnerLost) else type(error).__name__
        text = str(error) if isinstance(error, LivefleetError) else f"{type(error).__name__}: {error}"
        self._now(RunnerState.LOST, reason, f"{self._url}: {text}")

    def _now(self, state: RunnerState, reason: str, message: str) -> None:
        self.state = state
        if state is not RunnerState.LOADING or not self._is_faulty:
            self._reason, self._message = reason, message
        self._on_change()
