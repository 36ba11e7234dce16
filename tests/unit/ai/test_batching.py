"""Jobs of one shape are computed together, and no answer tells that they were."""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from livefleet.ai.batching import Jobs, check_all
from livefleet.ai.errors import Cancelled
from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import BatchedJob
from livefleet.ai.stop import Stop
from tests.builders.ai_kinds import TextFields, TextKind

pytestmark = pytest.mark.unit


class Together:
    """Answers who was in it. A prompt `poison` fails, alone or in company; `gate` holds the first batch."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.begun = threading.Event()

    def run(self, fields: TextFields, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        self._begin([fields.prompt])
        stop.check()
        return self._answer(fields, seed)

    def run_batch(self, jobs: Sequence[BatchedJob[Any]]) -> Sequence[AiResult | Exception]:
        self._begin([job.fields.prompt for job in jobs])
        check_all(jobs)
        return [self._answer(job.fields, job.seed) for job in jobs]

    def _begin(self, prompts: list[str]) -> None:
        self.batches.append(prompts)
        self.begun.set()
        assert self.gate.wait(30)

    def _answer(self, fields: TextFields, seed: int) -> AiResult:
        if fields.prompt == "poison":
            raise ValueError("poison")
        return AiResult({"text": f"{fields.prompt} {seed}"})


def a_job(prompt: str, group: str | None = "g", seed: int = 0) -> BatchedJob[Any]:
    return BatchedJob(TextFields(prompt=prompt, group=group), None, seed, Stop(time.monotonic() + 60))


class Runner:
    """Jobs that wait while the first one is held."""

    def __init__(self, most: int = 4, threads: int = 1) -> None:
        self.model = Together()
        self.threads = ThreadPoolExecutor(threads)
        self.jobs = Jobs(TextKind(), self.model, threads=self.threads, most=most)

    async def answers(self, *jobs: BatchedJob[Any]) -> list[Any]:
        """All of them, when the first has begun before the others came."""
        first = asyncio.ensure_future(self.jobs.run(jobs[0]))
        await asyncio.to_thread(self.model.begun.wait, 30)
        others = [asyncio.ensure_future(self.jobs.run(job)) for job in jobs[1:]]
        await asyncio.sleep(0)
        self.model.gate.set()
        return await asyncio.gather(first, *others, return_exceptions=True)


@pytest.fixture
def runner():
    made: list[Runner] = []

    def make(**how: Any) -> Runner:
        made.append(Runner(**how))
        return made[-1]

    yield make
    for one in made:
        one.model.gate.set()
        one.threads.shutdown()


def texts(answers: list[Any]) -> list[Any]:
    return [answer.body["text"] if isinstance(answer, AiResult) else repr(answer) for answer in answers]


async def test_jobs__of_one_key__wait_and_are_computed_together(runner):
    one = runner()
    answers = await one.answers(*(a_job(f"p{n}", seed=n) for n in range(6)))
    assert texts(answers) == [f"p{n} {n}" for n in range(6)]
    assert one.model.batches == [["p0"], ["p1", "p2", "p3", "p4"], ["p5"]]


async def test_jobs__of_other_keys__are_not_mixed(runner):
    one = runner()
    answers = await one.answers(a_job("a"), a_job("b", "x"), a_job("c", "y"), a_job("d", "x"))
    assert texts(answers) == ["a 0", "b 0", "c 0", "d 0"]
    assert sorted(map(sorted, one.model.batches)) == [["a"], ["b", "d"], ["c"]]


@pytest.mark.parametrize(("most", "group"), [(1, "g"), (4, None)])
async def test_jobs__not_declared_or_without_a_key__are_computed_alone(runner, most: int, group: str | None):
    one = runner(most=most, threads=2)
    await one.answers(*(a_job(f"p{n}", group) for n in range(4)))
    assert sorted(one.model.batches) == [["p0"], ["p1"], ["p2"], ["p3"]]


async def test_batch__one_of_it_is_poison__the_others_have_their_answers(runner):
    one = runner()
    answers = await one.answers(a_job("first"), a_job("good"), a_job("poison"), a_job("fine"))
    assert texts(answers) == ["first 0", "good 0", "ValueError('poison')", "fine 0"]


async def test_batch__one_client_is_gone__only_its_job_is_cancelled(runner):
    one = runner()
    gone = a_job("gone")
    gone.stop.cancel()
    answers = await one.answers(a_job("first"), gone, a_job("fine"))
    assert texts(answers)[0::2] == ["first 0", "fine 0"]
    assert isinstance(answers[1], Cancelled)


async def test_job__cancelled_while_it_waits__is_in_no_batch(runner):
    one = runner()
    first = asyncio.ensure_future(one.jobs.run(a_job("first")))
    await asyncio.to_thread(one.model.begun.wait, 30)
    given_up = asyncio.ensure_future(one.jobs.run(a_job("given up")))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    one.model.gate.set()
    await first
    assert texts([await one.jobs.run(a_job("next"))]) == ["next 0"]
    assert one.model.batches == [["first"], ["next"]]


async def test_lone_job__nothing_on_its_way__waits_for_nobody(runner):
    one = runner()
    one.model.gate.set()
    await one.jobs.run(a_job("warm"))
    took = []
    for _ in range(20):
        began = time.perf_counter()
        await one.jobs.run(a_job("lone"))
        took.append(time.perf_counter() - began)
    assert min(took) < 0.003


async def test_first_job__another_body_is_being_read__waits_for_it(runner):
    one = runner()
    one.model.gate.set()
    with one.jobs.coming():
        first = asyncio.ensure_future(one.jobs.run(a_job("a")))
        await asyncio.sleep(0)
    both = await asyncio.gather(first, one.jobs.run(a_job("b")))
    assert texts(both) == ["a 0", "b 0"]
    assert one.model.batches == [["a", "b"]]


def test_check_all__one_still_wanted__goes_on():
    jobs = [a_job("a"), a_job("b")]
    check_all(jobs)
    jobs[0].stop.cancel()
    check_all(jobs)
    jobs[1].stop.cancel()
    with pytest.raises(Cancelled):
        check_all(jobs)
