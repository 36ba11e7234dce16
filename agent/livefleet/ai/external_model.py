"""A model that something else serves: an ai-runner container, or anything with its HTTP API. Asked and watched only."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, Final

from livefleet.ai.advertising import RunnerView
from livefleet.ai.catalogue import Placement
from livefleet.ai.client import RunnerClient
from livefleet.ai.errors import NoCapacity, RunnerLost, RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.proof import PROOF_EVERY_S, ProofClock, Prover, proof_job
from livefleet.ai.watch import RunnerHealth, RunnerState, Watch, WatchLimits
from livefleet.kernel import Backoff, LivefleetError, run_duty

__all__ = ["EXTERNAL_LIMITS", "ExternalModel"]

log = logging.getLogger(__name__)

EXTERNAL_LIMITS: Final = WatchLimits(load_timeout_s=120.0, health_every_s=0.4, failures_to_kill=1)
"""At first as long as a Go worker waits for a runner that it did not start. Nothing is killed here, so one failure is
enough not to offer it."""


class ExternalModel:
    """Looks at the runner at the entry's `url`, and asks it while it is healthy. It is never started or stopped.

    A stock ai-runner computes on the loop that should answer, so while it has jobs of ours only a broken connection or
    what it says tells against it, and not that it says nothing. `run` is its duty; everything else may be called beside
    it, on the same loop.
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
        proof_every_s: float = PROOF_EVERY_S,
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
        self._client: RunnerClient | None = None
        self._prover: Prover | None = None  # of the client
        self._running = 0  # jobs and proofs
        self._proofs = ProofClock(proof_every_s, asyncio.get_running_loop().time)

    @property
    def proved_ago_s(self) -> float | None:
        """Since its last answer; None while it is not there."""
        return self._proofs.ago_s if self.state is RunnerState.READY else None

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
        # Longer than any look: a job that it works on is its caller's, whatever the looks find meanwhile.
        async with RunnerClient(
            self._url,
            self.placement.entry.pipeline,
            health_timeout_s=self._limits.health_timeout_s,
            request_limit_s=self._request_limit_s,
            token=self._token,
        ) as self._client:
            self._prover = Prover(self._client, proof_job(self.placement))

            async def look(client: RunnerClient = self._client, prover: Prover = self._prover) -> None:
                await self._look(client, prover)

            await run_duty(name, look, on_failure=self._lost, backoff=backoff, rng=self._rng)

    async def run_job(self, job: AiJob) -> AiResult:
        """Have it done there. Raises RunnerRefused. Cancelling closes the connection, which is how it is told."""
        with self._counted():
            result = await self._answering().run(job)
            self._proofs.proved()
            return result

    async def stream_job(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks. Raises RunnerRefused."""
        with self._counted():
            async with aclosing(self._answering().stream(job)) as chunks:
                async for chunk in chunks:
                    yield chunk
            self._proofs.proved()

    def _answering(self) -> RunnerClient:
        if self._client is None or self.state is not RunnerState.READY:
            # Nothing was begun, so gateways should ask elsewhere and come back rather than think ill of this node.
            raise NoCapacity(self.placement.entry.model_id, self._message)
        if self._prover is not None:
            self._prover.give_way()
        return self._client

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def _look(self, client: RunnerClient, prover: Prover) -> None:
        """Until it is lost; raises RunnerLost."""
        clock = asyncio.get_running_loop().time
        watch = Watch(started=clock())
        self._now(RunnerState.LOADING, "Waiting", f"waiting for {self._url}")
        try:
            while True:
                before, health = watch, await client.health(self._limits.silence_s if watch.ready else None)
                if not (health is RunnerHealth.LATE and self._running and watch.ready):
                    watch = watch.after(health, now=clock(), limits=self._limits)
                if watch.ready and not before.ready:
                    await self._came(client, prover)
                elif watch.ready and self._proofs.is_due() and not self.in_use and not self._running:
                    await self._prove(prover)
                await asyncio.sleep(watch.wait_s(self._limits))
        finally:
            self.state = RunnerState.LOST

    async def _came(self, client: RunnerClient, prover: Prover) -> None:
        """It answers; it is offered once it has shown that it works. Raises RunnerLost."""
        self._version = await client.version()
        self.gpu_info = await client.gpu_info()
        await self._prove(prover)
        self._is_faulty = False
        log.info("ai.external_model_answers", extra={"model": self.placement.entry.model_id, "url": self._url})
        self._now(RunnerState.READY, "Answering", f"served at {self._url}")

    async def _prove(self, prover: Prover) -> None:
        """Unless a job comes meanwhile, which is as good. Raises RunnerLost."""
        try:
            with self._counted():
                if await prover.prove():
                    self._proofs.proved()
        except RunnerRefused as error:
            raise RunnerLost("ProofFailed", f"it did not do its proof: {error.text}") from error

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
