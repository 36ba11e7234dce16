"""Showing by a worker's own counts that it did a job, though its orchestrator decides who does what."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from fractions import Fraction

from livefleet.cli.smoke_job import SmokeGateway
from livefleet.control import SmokeJob, SmokeStage
from livefleet.kernel import LivefleetError

__all__ = ["Counts", "NotSaid", "SmokeWorker"]

_LOOKS = 5  # a worker hears that its result was taken after the gateway has it
_LOOK_S = 0.4


@dataclass(frozen=True, slots=True)
class Counts:
    """Jobs that a worker has done since its start."""

    segments: int
    models: int


class NotSaid(LivefleetError):
    """The worker did not tell its counts."""


class SmokeWorker:
    """A worker behind an orchestrator. `counts` asks the worker itself; it raises NotSaid.

    Jobs are given to the orchestrator, more and more at once, until the worker's count rises or `most` are under way.
    On a busy worker a gateway's job may have raised it: then it is shown to work, if not by this very job.
    """

    def __init__(
        self, name: str, gateway: SmokeGateway, *, through: str, counts: Callable[[], Awaitable[Counts]], most: int
    ) -> None:
        self._name = name
        self._gateway = gateway
        self._through = through
        self._counts = counts
        self._most = most

    async def video(self) -> SmokeJob:
        """Streams, each held open so that the next one has to go elsewhere."""
        before = await self._before("video")
        if isinstance(before, SmokeJob):
            return before
        jobs: list[SmokeJob] = []
        async with AsyncExitStack() as held:
            while len(jobs) < self._most:
                jobs.append(await self._gateway.video(held=held))
                if not jobs[-1].passed:
                    break
                if (after := await self._rose(lambda counts: counts.segments, before)) is not None:
                    return self._shown(jobs, before.segments, after)
        return self._not_shown(jobs)

    async def model(self, pipeline: str, model_id: str) -> SmokeJob:
        """Requests, twice as many at once each time."""
        before = await self._before(f"{pipeline} {model_id}")
        if isinstance(before, SmokeJob):
            return before
        jobs: list[SmokeJob] = []
        at_once = 1
        while at_once <= self._most:
            done = await asyncio.gather(*(self._gateway.model(pipeline, model_id) for _ in range(at_once)))
            jobs += sorted(done, key=lambda job: not job.passed)
            if not any(job.passed for job in done):
                break
            if (after := await self._rose(lambda counts: counts.models, before)) is not None:
                return self._shown(jobs, before.models, after)
            at_once *= 2
        return self._not_shown(jobs)

    async def _before(self, what: str) -> Counts | SmokeJob:
        try:
            return await self._counts()
        except NotSaid as error:
            advice = f"see `livefleet status {self._name}`"
            return SmokeJob(what, str(error), failed_at=SmokeStage.LOOK, advice=advice)

    async def _rose(self, of: Callable[[Counts], int], before: Counts) -> int | None:
        """The count where it is more than before."""
        for look in range(_LOOKS):
            if look:
                await asyncio.sleep(_LOOK_S)
            try:
                now = of(await self._counts())
            except NotSaid:
                continue
            if now > of(before):
                return now
        return None

    def _shown(self, jobs: Sequence[SmokeJob], before: int, after: int) -> SmokeJob:
        last = next(job for job in reversed(jobs) if job.passed)
        text = f"{last.text}; {self._name} did it: its count went from {before} to {after}, through {self._through}"
        return replace(_together(last, jobs), text=text)

    def _not_shown(self, jobs: Sequence[SmokeJob]) -> SmokeJob:
        first, last = jobs[0], jobs[-1]
        if not first.passed:
            return first
        ended = "" if last.passed else f", then {self._through} took no more ({last.text})"
        text = f"{self._through} gave {sum(job.passed for job in jobs)} job(s) to others{ended}"
        advice = f"has {self._name} joined? raise smoke.worker_sessions, or drain what does the work before it"
        return replace(_together(last, jobs), text=text, failed_at=SmokeStage.PLACE, advice=advice)


def _together(job: SmokeJob, jobs: Sequence[SmokeJob]) -> SmokeJob:
    return replace(
        job,
        tickets=sum(each.tickets for each in jobs),
        spent=sum((each.spent for each in jobs), Fraction(0)),
        took_s=sum(each.took_s for each in jobs),
    )
