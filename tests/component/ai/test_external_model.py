"""Runners that are not ours, over real sockets: a hand-written ai-runner."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from livefleet.ai import AiJob, NoCapacity, RunnerRefused
from livefleet.ai.catalogue import Placement
from livefleet.ai.external_model import EXTERNAL_LIMITS, ExternalModel
from livefleet.ai.watch import RunnerState, WatchLimits
from livefleet.kernel import SystemClock
from livefleet.spec import Pipeline
from livefleet.wire.tls import ensure_certificate
from tests.builders.ai import an_entry
from tests.builders.ai_runner import GPU_INFO, StockRunner, serving
from tests.builders.wire import free_port

pytestmark = pytest.mark.component

MODEL = "acme/painter"
PICTURE = b"\x89PNG a picture"
QUICK = replace(EXTERNAL_LIMITS, load_timeout_s=20, loading_every_s=0.05, health_timeout_s=2, cancel_grace_s=2)


def a_job(**fields: Any) -> AiJob:
    given = {"prompt": "a cat", "strength": 0.5, "safety_check": True, "seed": 7, "model_id": MODEL}
    return AiJob(Pipeline.IMAGE_TO_IMAGE, MODEL, given | fields, 64 * 64, upload=PICTURE)


def a_chat() -> AiJob:
    messages = [{"role": "user", "content": "capital of France?"}]
    return AiJob(Pipeline.LLM, MODEL, {"messages": messages, "model": MODEL, "stream": True}, 256, streams=True)


@asynccontextmanager
async def asked(
    url: str,
    *,
    pipeline: Pipeline = Pipeline.IMAGE_TO_IMAGE,
    token: str | None = None,
    limits: WatchLimits = QUICK,
    proof_every_s: float = 0,
) -> AsyncIterator[ExternalModel]:
    entry = an_entry(pipeline=pipeline, model_id=MODEL, url=url, capacity=3, device="auto")
    model = ExternalModel(
        Placement(entry, "cpu", "float32"),
        token=token,
        request_timeout_s=10,
        rng=random.Random(1),
        on_change=lambda: None,
        limits=limits,
        proof_every_s=proof_every_s,
    )
    async with asyncio.TaskGroup() as group:
        duty = group.create_task(model.run())
        try:
            yield model
        finally:
            duty.cancel()


async def ready(model: ExternalModel, eventually: Callable[..., Awaitable[None]]) -> None:
    await eventually(lambda: model.state is RunnerState.READY)


async def test_external_model__answers__is_told_of_and_works(eventually):
    runner = StockRunner("image-to-image", MODEL, token="open sesame")
    async with serving(runner) as url, asked(url + "/", token="open sesame") as model:
        await ready(model, eventually)
        view = model.view()
        assert (view.runner_version, view.capacity, view.free, view.reason) == ("0.14.1", 3, 3, "Answering")
        assert (model.pid, dict(model.gpu_info)) == (None, GPU_INFO)

        # Several at once; what was asked is written as Go's workers write it.
        runner.hold.clear()
        jobs = [asyncio.ensure_future(model.run_job(a_job(seed=n))) for n in range(3)]
        await eventually(lambda: runner.at_once == 3)
        runner.hold.set()
        results = await asyncio.gather(*jobs)
        assert [result.body["images"][0]["seed"] for result in results] == [0, 1, 2]
        assert results[0].media["0"].data == PICTURE
        first = runner.asked[1]  # after the proof
        assert (first["strength"], first["safety_check"]) == ("0.500000", "true")
        assert first["image"] == (PICTURE, "image", "application/octet-stream")

        with pytest.raises(
            RunnerRefused, match=f"image-to-image container returned 400: pipeline configured with {MODEL}"
        ):
            await model.run_job(a_job(model_id="b/c"))


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        ((400, {"detail": {"msg": "bad luck."}}), "image-to-image container returned 400: bad luck."),
        (
            (413, {"detail": {"msg": "x"}}),
            "image-to-image container returned 413: file too large; max file size is 50MB",
        ),
        ((422, {"detail": [{"loc": []}]}), 'image-to-image container returned 422: {"detail":[{"loc":[]}]}'),
        ((500, {"detail": {"msg": "Out of memory."}}), "image-to-image container returned 500: Out of memory."),
        ((500, "Internal Server Error"), "image-to-image container returned 500 without a reason"),
    ],
)
async def test_external_model__refuses__is_told_in_the_words_that_gateways_know(eventually, failure, text: str):
    runner = StockRunner("image-to-image", MODEL)
    async with serving(runner) as url, asked(url) as model:
        await ready(model, eventually)
        runner.failure = failure
        with pytest.raises(RunnerRefused) as refused:
            await model.run_job(a_job())
        assert (refused.value.text, refused.value.status) == (text, 500)
        # An error of a job is none of the runner.
        assert model.state is RunnerState.READY


async def test_external_model__token_is_another__fails_its_proof_and_is_not_offered(eventually):
    runner = StockRunner("image-to-image", MODEL, token="open sesame")
    async with serving(runner) as url, asked(url, token="x") as model:
        await eventually(lambda: model.view().reason == "ProofFailed")
        view = model.view()
        assert (view.free, view.faulty) == (0, True)
        assert view.message.endswith("container returned 401: Invalid bearer token.")


async def test_external_model__does_not_work_any_more__is_retracted_until_it_does(eventually):
    runner = StockRunner("image-to-image", MODEL)
    async with serving(runner) as url, asked(url, proof_every_s=0.5) as model:
        await ready(model, eventually)
        assert len(runner.asked) == 1
        await eventually(lambda: len(runner.asked) == 2)  # idle, it shows that it works
        runner.failure = (500, {"detail": {"msg": "Image-to-image pipeline error."}})  # and is as healthy as before
        await eventually(lambda: model.view().reason == "ProofFailed")
        assert model.view().free == 0
        with pytest.raises(NoCapacity):
            await model.run_job(a_job())
        runner.failure = None
        await ready(model, eventually)


async def test_external_model__proof_under_way__gives_way_to_who_pays(eventually):
    runner = StockRunner("image-to-image", MODEL)
    async with serving(runner) as url, asked(url, proof_every_s=0.5) as model:
        await ready(model, eventually)
        runner.hold.clear()
        await eventually(lambda: runner.at_once == 1)
        job = asyncio.ensure_future(model.run_job(a_job(seed=5)))
        await eventually(lambda: len(runner.asked) == 3)
        runner.hold.set()
        assert (await job).body["images"][0]["seed"] == 5
        assert model.state is RunnerState.READY


async def test_external_model__silent__is_retracted_within_two_seconds_but_not_while_it_computes(eventually):
    """As a stock ai-runner: one that computes does not say that it is well."""
    runner = StockRunner("image-to-image", MODEL)
    async with serving(runner) as url, asked(url) as model:
        await ready(model, eventually)
        runner.hold.clear()
        job = asyncio.ensure_future(model.run_job(a_job()))
        await eventually(lambda: runner.at_once == 1)
        runner.silent.set()
        await asyncio.sleep(2.5)
        assert model.state is RunnerState.READY

        # Idle and silent it is another matter.
        runner.hold.set()
        await job
        began = time.monotonic()
        await eventually(lambda: model.state is not RunnerState.READY)
        assert time.monotonic() - began < 2
        assert model.view().reason == "NotAnswering"
        runner.silent.clear()
        await ready(model, eventually)


async def test_external_model__goes_and_comes_back__is_lost_meanwhile(eventually):
    runner, port = StockRunner("image-to-image", MODEL), free_port()
    async with serving(runner, port=port) as url, asked(url) as model:
        await ready(model, eventually)
        runner.status = "ERROR 500"
        await eventually(lambda: model.state is not RunnerState.READY)
        view = model.view()
        assert (view.reason, view.faulty, view.free) == ("NotAnswering", True, 0)
        assert view.message.startswith(f"{url}: no healthy answer to a check")
        with pytest.raises(NoCapacity, match="insufficient capacity"):
            await model.run_job(a_job())
        runner.status = "OK"
        await ready(model, eventually)
        assert not model.view().faulty

        # What it says of itself counts at once.
        runner.status = "ERROR"
        await eventually(lambda: model.view().reason == "RunnerError")


async def test_external_model__dies_under_a_request__fails_that_request_alone(eventually):
    runner, port = StockRunner("image-to-image", MODEL), free_port()
    async with asked(f"http://127.0.0.1:{port}") as model:
        async with serving(runner, port=port):
            await ready(model, eventually)
            runner.hold.clear()
            job = asyncio.ensure_future(model.run_job(a_job()))
            await eventually(lambda: runner.at_once == 1)
        # Its end lets the job go; whatever became of the answer, the next look finds nobody.
        await asyncio.gather(job, return_exceptions=True)
        await eventually(lambda: model.state is not RunnerState.READY)
        async with serving(runner, port=port):
            await ready(model, eventually)
            await model.run_job(a_job())


async def test_external_model__never_answers__is_lost_within_the_limit(eventually):
    assert EXTERNAL_LIMITS.load_timeout_s == 120
    assert EXTERNAL_LIMITS.health_every_s + EXTERNAL_LIMITS.silence_s < 2
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with asked(nowhere, limits=replace(QUICK, load_timeout_s=0.3)) as model:
        assert (model.view().reason, model.view().free) == ("Waiting", 0)
        await eventually(lambda: model.view().reason == "LoadTimeout")


async def test_external_model__job_hangs__is_given_up(eventually):
    runner = StockRunner("image-to-image", MODEL)
    async with serving(runner) as url, asked(url, limits=replace(QUICK, cancel_grace_s=-9)) as model:
        await ready(model, eventually)
        runner.hold.clear()
        with pytest.raises(RunnerRefused, match="did not answer within 1 s"):
            await model.run_job(a_job())


async def test_external_model__streams__chunk_by_chunk_and_stops_when_left(eventually):
    runner = StockRunner("llm", MODEL)
    async with serving(runner) as url, asked(url, pipeline=Pipeline.LLM) as model:
        await ready(model, eventually)
        chunks = [chunk async for chunk in model.stream_job(a_chat())]
        assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == "Paris"

        runner.hold.clear()
        answer = model.stream_job(a_chat())
        await anext(answer)
        await answer.aclose()
        await eventually(lambda: runner.cancelled == 1)

        runner.failure = (500, {"detail": {"msg": "Internal server error during LLM processing."}})
        with pytest.raises(RunnerRefused, match="unexpected status code: 500"):
            await anext(model.stream_job(a_chat()))


async def test_external_model__by_tls__is_trusted_by_the_hosts_authorities_alone(
    eventually, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = ensure_certificate(tmp_path, "localhost", SystemClock())
    async with serving(StockRunner("image-to-image", MODEL), tls=(files.certificate, files.key)) as url:
        async with asked(url, limits=replace(QUICK, load_timeout_s=0.3)) as stranger:
            await eventually(lambda: stranger.view().reason == "LoadTimeout")
        monkeypatch.setenv("SSL_CERT_FILE", str(files.certificate))
        async with asked(url) as model:
            await ready(model, eventually)
            assert (await model.run_job(a_job())).media["0"].data == PICTURE
