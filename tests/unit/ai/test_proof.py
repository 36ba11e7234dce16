import asyncio

import pytest

from livefleet.ai.errors import RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.pictures import size_of
from livefleet.ai.pipelines import kind_of
from livefleet.ai.proof import ProofClock, Prover, proof_job
from livefleet.spec import Pipeline
from tests.builders.ai import a_job, a_placement

pytestmark = pytest.mark.unit


class Client:
    """A runner's, in the test's hands."""

    def __init__(self, *, error: RunnerRefused | None = None) -> None:
        self.asked: list[AiJob] = []
        self.cancelled = 0
        self.gate = asyncio.Event()
        self._error = error

    async def run(self, job: AiJob) -> AiResult:
        self.asked.append(job)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self._error is not None:
            raise self._error
        return AiResult({})


@pytest.mark.parametrize("pipeline", list(Pipeline))
@pytest.mark.parametrize("url", [None, "http://elsewhere"])
def test_proof_job__of_every_pipeline__is_a_request_that_its_runner_takes(pipeline: Pipeline, url: str | None):
    job = proof_job(
        a_placement(pipeline=pipeline, model_id="acme/one", **({"url": url, "device": "auto"} if url else {}))
    )
    kind = kind_of(pipeline)
    fields = kind.runner_fields.model_validate(job.fields)
    assert kind.fault(fields, job.upload) is None
    assert (job.fields[kind.model_field], job.model_id, job.streams) == ("acme/one", "acme/one", False)


def test_proof_job__for_a_gpu__is_of_a_size_that_its_models_know():
    here, there = (
        proof_job(a_placement(pipeline="image-to-image", **url)) for url in ({}, {"url": "http://x", "device": "auto"})
    )
    assert here.upload is not None
    assert there.upload is not None
    assert (size_of(here.upload), size_of(there.upload)) == ((64, 64), (256, 256))


def test_clock__due_after_the_interval__an_answer_puts_it_off():
    now = 100.0
    clock = ProofClock(60, lambda: now)
    now = 159.0
    assert not clock.is_due()
    now = 160.0
    assert clock.is_due()
    clock.proved()
    assert (clock.is_due(), clock.ago_s) == (False, 0)
    now = 1e9
    assert not ProofClock(0, lambda: now).is_due()
    never = ProofClock(0, lambda: now)
    now = 2e9
    assert not never.is_due()


async def test_prove__answered__is_proved():
    client = Client()
    client.gate.set()
    assert await Prover(client, a_job()).prove()
    assert len(client.asked) == 1


async def test_prove__refused__is_raised():
    client = Client(error=RunnerRefused("text-to-image container returned 500: Out of memory."))
    client.gate.set()
    with pytest.raises(RunnerRefused, match="Out of memory"):
        await Prover(client, a_job()).prove()


async def test_prove__somebody_pays__gives_way_and_closes_its_connection():
    client = Client()
    prover = Prover(client, a_job())
    proof = asyncio.ensure_future(prover.prove())
    await asyncio.sleep(0)
    assert client.asked
    prover.give_way()
    prover.give_way()
    assert await proof is False
    assert client.cancelled == 1
    prover.give_way()  # nothing is under way any more
    client.gate.set()
    assert await prover.prove()


async def test_prove__cancelled__is_no_giving_way():
    prover = Prover(Client(), a_job())
    proof = asyncio.ensure_future(prover.prove())
    await asyncio.sleep(0)
    proof.cancel()
    with pytest.raises(asyncio.CancelledError):
        await proof
