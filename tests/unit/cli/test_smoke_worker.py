"""Finding out that one worker among others did a job."""

import asyncio
from fractions import Fraction

import pytest

from livefleet.cli import smoke_worker
from livefleet.cli.smoke_worker import Counts, NotSaid, SmokeWorker
from livefleet.control import SmokeJob, SmokeStage

pytestmark = pytest.mark.unit


class Orchestrator:
    """Gives its first `before` jobs at once to others, and `room` at most."""

    def __init__(self, before=0, room=100):
        self.before, self.room = before, room
        self.open = 0
        self.given = 0  # to the worker that is tried

    async def video(self, *, held):
        return self._job("video", self.open, lambda: setattr(self, "open", self.open + 1))

    async def model(self, pipeline, model_id):
        self.open += 1
        await asyncio.sleep(0)
        job = self._job(f"{pipeline} {model_id}", self.open - 1, lambda: None)
        await asyncio.sleep(0)
        self.open -= 1
        return job

    def _job(self, what, others, take):
        if others >= self.room:
            return SmokeJob(what, "503 OrchestratorBusy", failed_at=SmokeStage.WORK)
        self.given += others >= self.before
        take()
        return SmokeJob(what, "done", tickets=1, spent=Fraction(2))

    async def counts(self):
        return Counts(self.given, self.given)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(smoke_worker, "_LOOK_S", 0)


def a_worker(orchestrator, most=8, counts=None):
    return SmokeWorker("gpu-1", orchestrator, through="orch", counts=counts or orchestrator.counts, most=most)


async def test_first_job_goes_to_it__is_shown_by_its_count():
    job = await a_worker(Orchestrator()).video()
    assert job.passed
    assert job.text == "done; gpu-1 did it: its count went from 0 to 1, through orch"


async def test_others_come_first__sessions_are_held_open_until_it_gets_one():
    orchestrator = Orchestrator(before=3)
    job = await a_worker(orchestrator).video()
    assert (job.passed, orchestrator.open, job.tickets, job.spent) == (True, 4, 4, 8)


async def test_models__are_asked_at_once_until_it_gets_one():
    job = await a_worker(Orchestrator(before=2)).model("llm", "a/b")
    assert (job.passed, job.tickets) == (True, 1 + 2 + 4)


async def test_it_never_gets_one__fails_at_place_and_says_how_many_others_got():
    job = await a_worker(Orchestrator(before=100), most=5).video()
    assert (job.failed_at, job.tickets) == (SmokeStage.PLACE, 5)
    assert job.text == "orch gave 5 job(s) to others"
    assert "raise smoke.worker_sessions" in job.advice


async def test_orchestrator_is_full_before__fails_at_place_with_its_words():
    job = await a_worker(Orchestrator(before=100, room=2)).video()
    assert job.failed_at is SmokeStage.PLACE
    assert job.text == "orch gave 2 job(s) to others, then orch took no more (503 OrchestratorBusy)"


async def test_the_job_itself_fails__that_is_what_is_said():
    job = await a_worker(Orchestrator(room=0)).video()
    assert (job.failed_at, job.text) == (SmokeStage.WORK, "503 OrchestratorBusy")


async def test_worker_does_not_answer__nothing_is_paid():
    async def silent():
        raise NotSaid("no answer on http://127.0.0.1:7935/status")

    orchestrator = Orchestrator()
    job = await a_worker(orchestrator, counts=silent).video()
    assert (job.failed_at, orchestrator.open) == (SmokeStage.LOOK, 0)
