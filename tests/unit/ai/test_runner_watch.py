"""What becomes of a runner by what it says and does not say; a process and a model in the test's hands."""

import asyncio
from collections.abc import Callable

import pytest

from livefleet.ai.errors import RunnerLost, RunnerRefused
from livefleet.ai.runner_watch import RunnerWatch
from livefleet.ai.watch import RunnerHealth, WatchLimits

pytestmark = pytest.mark.unit

LIMITS = WatchLimits(loading_every_s=0.01, health_every_s=60, silence_s=0.4)


class Process:
    pid = 7

    def __init__(self) -> None:
        self.beats = 0
        self.gone = asyncio.Event()
        self.killed = 0
        self.last_words = RunnerLost("RunnerDied", "killed by SIGKILL")

    async def ended(self, within_s: float) -> bool:
        self.beats += not self.gone.is_set()
        try:
            async with asyncio.timeout(within_s):
                await self.gone.wait()
        except TimeoutError:
            pass
        return self.gone.is_set()

    def kill(self) -> None:
        self.killed += 1
        self.gone.set()

    async def post_mortem(self) -> RunnerLost:
        return self.last_words


class Silent(Process):
    """It lives and says nothing."""

    async def ended(self, within_s: float) -> bool:
        found = await super().ended(within_s)
        self.beats = 0
        return found


class Live:
    def __init__(self, process: Process, *health: RunnerHealth) -> None:
        self.process = process
        self.client = self
        self.condemned: RunnerLost | None = None
        self.proofs = 0
        self.refusal: RunnerRefused | None = None
        self.before_refusal: Callable[[], None] = lambda: None
        self._health = list(health)

    async def health(self) -> RunnerHealth:
        return self._health.pop(0) if len(self._health) > 1 else self._health[0]

    async def prove(self) -> bool:
        self.proofs += 1
        if self.refusal is not None:
            self.before_refusal()
            raise self.refusal
        return True

    def condemn(self, why: RunnerLost) -> None:
        self.condemned = why
        self.process.kill()


class Model:
    gave_way = False

    def __init__(self) -> None:
        self.told: list[str] = []
        self.due = False

    async def came(self, live: Live) -> None:
        self.told.append("came")

    def went_silent(self, silence_s: float) -> None:
        if "silent" not in self.told:
            self.told.append("silent")

    def proof_is_due(self) -> bool:
        return self.due

    def proof_failed(self, live: Live, error: RunnerRefused) -> None:
        self.told.append("failed")
        live.condemn(RunnerLost("ProofFailed", error.text))

    def gone(self, reason: str, message: str) -> None:
        self.told.append(f"gone: {reason}")


async def watched(live: Live, model: Model) -> RunnerLost:
    with pytest.raises(RunnerLost) as lost:
        async with asyncio.timeout(20), RunnerWatch(live, model, LIMITS) as watch:
            await watch.until_it_ends()
    return lost.value


async def test_watch__proof_fails__the_runner_is_ended_for_it():
    live, model = Live(Process(), RunnerHealth.LOADING, RunnerHealth.OK), Model()
    live.refusal, model.due = RunnerRefused("text-to-image container returned 500: x"), True
    lost = await watched(live, model)
    assert (lost.reason, str(lost)) == ("ProofFailed", "text-to-image container returned 500: x")
    assert (model.told, live.process.killed) == (["came", "failed", "gone: ProofFailed"], 1)


async def test_watch__process_dies_under_a_proof__is_no_failed_proof():
    live, model = Live(Process(), RunnerHealth.OK), Model()
    live.refusal, model.due = RunnerRefused("container went away"), True
    live.before_refusal = live.process.gone.set
    assert (await watched(live, model)).reason == "RunnerDied"
    assert model.told == ["came", "gone: RunnerDied"]


async def test_watch__no_beats__is_told_at_once_checked_at_once_and_killed_after_two_checks():
    live, model = Live(Silent(), RunnerHealth.OK, RunnerHealth.LATE), Model()
    assert (await watched(live, model)).reason == "NotAnswering"  # the next check by time were in a minute
    assert model.told == ["came", "silent", "gone: NotAnswering"]
    assert live.process.killed == 1


async def test_watch__not_due__nothing_is_proved():
    live, model = Live(Process(), RunnerHealth.OK), Model()
    asyncio.get_running_loop().call_later(0.5, live.process.gone.set)
    await watched(live, model)
    assert (live.proofs, model.told) == (0, ["came", "gone: RunnerDied"])
