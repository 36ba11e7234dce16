"""Watching one runner of ours: whether it answers, whether it lives, whether it works."""

import asyncio
import logging
from types import TracebackType
from typing import Final, Protocol, Self

from livefleet.ai.errors import RunnerLost, RunnerRefused
from livefleet.ai.live_runner import LiveRunner
from livefleet.ai.runner_pulse import PULSE_LOOK_S, Pulse
from livefleet.ai.watch import RunnerHealth, Watch, WatchLimits

__all__ = ["RunnerWatch", "Watched"]

log = logging.getLogger(__name__)

_LAST_WORDS_S: Final = 5.0  # its children may hold its standard output open
_END_SHOWS_S: Final = 0.5  # after its connections broke


class Watched(Protocol):
    """The model whose runner it is."""

    @property
    def gave_way(self) -> bool:
        """Whether the process was ended for the sake of others."""
        ...

    async def came(self, live: LiveRunner) -> None:
        """It answers for the first time."""
        ...

    def went_silent(self, silence_s: float) -> None:
        """No sign of life."""
        ...

    def proof_is_due(self) -> bool:
        """Whether it has to show that it works."""
        ...

    def proof_failed(self, live: LiveRunner, error: RunnerRefused) -> None:
        """It does not."""
        ...

    def gone(self, reason: str, message: str) -> None:
        """It has ended, or is about to be ended."""
        ...


class RunnerWatch:
    """Looks at a runner while entered, in three ways.

    - Beats come from its event loop and cost next to nothing: without them it is not offered after `silence_s`.
    - Checks ask its HTTP API: several failures in a row, and it is killed. They begin when the beats end.
    - Proofs ask it for a small job.
    """

    def __init__(self, live: LiveRunner, model: Watched, limits: WatchLimits) -> None:
        self._live = live
        self._model = model
        self._limits = limits
        self._clock = asyncio.get_running_loop().time
        self._silent = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)  # an error of the block is its own, none of the group's

    async def until_it_ends(self) -> None:
        """Raises RunnerLost; returns when it gave way."""
        process, model = self._live.process, self._model
        try:
            await self._check()
        except RunnerLost as error:
            model.gone(error.reason, str(error))
            # It had its chance to answer; asking politely would only cost time.
            process.kill()
            raise
        if model.gave_way:
            return
        if (condemned := self._live.condemned) is not None:
            model.gone(condemned.reason, str(condemned))
            raise condemned
        model.gone("RunnerDied", f"the runner (pid {process.pid}) ended")
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                lost = await process.post_mortem()
        except TimeoutError:
            lost = RunnerLost("RunnerDied", f"the runner (pid {process.pid}) ended, and a child of it goes on")
        raise lost

    async def _check(self) -> None:
        """Ask its API, until the process ends. Raises RunnerLost."""
        process, limits = self._live.process, self._limits
        watch = Watch(started=self._clock())
        while not await self._ended(watch.wait_s(limits)):
            before, health = watch, await self._live.client.health()
            watch = watch.after(health, now=self._clock(), limits=limits)
            if watch.ready and not before.ready:
                await self._model.came(self._live)
                self._tasks += [
                    self._group.create_task(self._listen(), name="beats"),
                    self._group.create_task(self._prove(), name="proofs"),
                ]
            elif health in {RunnerHealth.SILENT, RunnerHealth.LATE} and watch.ready:
                log.warning("ai.health_missed", extra={"pid": process.pid})

    async def _ended(self, within_s: float) -> bool:
        """Wait for the process's end, at most so long, and no longer than it gives signs of life."""
        until = self._clock() + within_s
        while not await self._live.process.ended(min(PULSE_LOOK_S, max(0.0, until - self._clock()))):
            if self._clock() >= until or self._silent.is_set():
                self._silent.clear()
                return False
        return True

    async def _listen(self) -> None:
        """To its beats."""
        pulse = Pulse(self._live.process.beats, self._clock())
        while True:
            await asyncio.sleep(PULSE_LOOK_S)
            before = pulse
            pulse = pulse.after(self._live.process.beats, now=self._clock())
            if pulse.silence_s >= self._limits.silence_s:
                self._model.went_silent(pulse.silence_s)
                if before.silence_s < self._limits.silence_s:
                    self._silent.set()

    async def _prove(self) -> None:
        """Whenever that is due, and nobody pays for its time."""
        while True:
            await asyncio.sleep(PULSE_LOOK_S)
            if not self._model.proof_is_due():
                continue
            try:
                await self._live.prove()
            except RunnerRefused as error:
                if await self._live.process.ended(_END_SHOWS_S):
                    return  # that it has ended is what is wrong, and others tell of it
                self._model.proof_failed(self._live, error)
                return
