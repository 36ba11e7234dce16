"""Every pipeline with a real model of toy size: a gateway, the door, a pool, a runner, and back."""

import json
import random

import pytest

from livefleet.ai import SERVED, AiPool, Placement
from livefleet.kernel import ConditionBoard, OutsideWorld, SystemClock
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import AiRequest, Payer, ask
from livefleet.wire.worker import AiWorker
from tests.builders.ai import an_entry
from tests.builders.ai_files import a_picture, png, wav
from tests.builders.ai_runners import all_runners
from tests.builders.ai_workers import SECRET
from tests.builders.wire import FreePayments, until

pytestmark = pytest.mark.component

MODEL = "livefleet/tiny"
SMALL = {"width": 64, "height": 64, "num_inference_steps": 2}
HELLO = {"messages": [{"role": "user", "content": "Hello?"}], "max_tokens": 8, "seed": 7}  # some draws end at once


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    with all_runners(tmp_path_factory.mktemp("models"), MODEL) as urls:
        yield urls


def requests() -> dict[str, AiRequest]:
    image = a_picture()
    rows = {
        "text-to-image": (SMALL | {"prompt": "a fleet", "num_images_per_prompt": 2, "seed": 5}, b""),
        "image-to-image": ({"prompt": "a fleet", "num_inference_steps": 2, "strength": 0.8, "seed": 5}, image),
        "image-to-video": (SMALL | {"fps": 6, "seed": 5}, image),
        "upscale": ({"prompt": "a fleet", "num_inference_steps": 2, "seed": 5}, image),
        "audio-to-text": ({"return_timestamps": "true"}, wav(2.5, rate=16_000)),
        "segment-anything-2": ({"point_coords": "[[20,20]]", "point_labels": "[1]"}, image),
        "llm": (HELLO, b""),
        "image-to-text": ({"prompt": ""}, image),
        "text-to-speech": ({"text": "a fleet of ships"}, b""),
    }
    return {pipeline: AiRequest(pipeline, MODEL, fields, upload) for pipeline, (fields, upload) in rows.items()}


def a_pool(urls, folder):
    placements = [
        Placement(an_entry(pipeline=pipeline, model_id=MODEL, url=url, device="auto"), "cpu", "float32")
        for pipeline, url in urls.items()
    ]
    return AiPool(
        placements,
        run_dir=folder / "run",
        state_folder=folder,
        board=ConditionBoard(SystemClock()),
        rng=random.Random(1),
        request_timeout_s=120,
    )


async def test_every_pipeline__through_the_door__answers_what_gateways_read(serve, urls, tmp_path):
    pool = a_pool(urls, tmp_path)
    payments = FreePayments()
    async with pool:
        node = await serve(ai=pool, payments=payments)
        await until(lambda: len([model for model in pool.advertised() if model.warm]) == len(SERVED))
        assert set((await node.info()).capabilities.models) == {27, 28, 29, 30, 31, 32, 33, 34, 36}

        async def asked(request):
            return await ask(parse_endpoint(node.uri), Payer(None), request, timeout_s=120)

        for pipeline, request in requests().items():
            report = await asked(request)
            assert report.problems == (), pipeline
            assert payments.debits[-1] == (request.manifest_id, request.units()), pipeline
            if pipeline == "image-to-video":
                assert (report.media[0].frames > 1, report.media[0].content_type) == (True, "video/mp4")
            elif pipeline == "segment-anything-2":
                assert len(json.loads(report.answer["masks"])[0]) == 64
            elif pipeline == "text-to-image":
                again = await asked(request)
                assert [m.data for m in again.media] == [m.data for m in report.media]  # one seed, one picture
                assert report.media[0].data != report.media[1].data
        streamed = await asked(AiRequest("llm", MODEL, HELLO | {"stream": True}))
        assert (streamed.problems, len(streamed.chunks) > 1) == ((), True)

        poison = png(64, 64) + b"and then nothing that is a picture"  # its header is fine: only a decoder sees it
        for pipeline in ("upscale", "image-to-text", "segment-anything-2"):
            fields = requests()[pipeline].fields
            with pytest.raises(OutsideWorld, match=r"500 .* container returned 400: "):
                await asked(AiRequest(pipeline, MODEL, fields, poison))
        assert (await asked(requests()["upscale"])).problems == ()  # the runner has lived through it
        assert all(model.capacity_in_use == 0 for model in pool.advertised())


async def test_every_pipeline__done_by_a_worker_of_ours__answers_the_same(serve, urls, tmp_path):
    """The node has no model; a worker beside it has them all."""
    pool, payments = a_pool(urls, tmp_path), FreePayments()
    async with pool:
        await until(lambda: len([model for model in pool.advertised() if model.warm]) == len(SERVED))
        node = await serve(payments=payments, worker_secret=SECRET)
        async with AiWorker(
            orchestrator=node.uri.removeprefix("https://"),
            secret=SECRET,
            ai=pool,
            hardware=tuple,
            board=ConditionBoard(SystemClock()),
            rng=random.Random(2),
            drain_s=5,
        ):
            await until(lambda: node.server.snapshot().ai_workers)
            told = (await node.info()).capabilities.models
            assert set(told) == {27, 28, 29, 30, 31, 32, 33, 34, 36}
            assert all(models[MODEL].runner_version == "0.14.1" for models in told.values())
            for pipeline, request in requests().items():
                report = await ask(parse_endpoint(node.uri), Payer(None), request, timeout_s=120)
                assert report.problems == (), pipeline
                assert payments.debits[-1] == (request.manifest_id, request.units()), pipeline
                assert pipeline != "image-to-video" or report.media[0].content_type == "video/mp4"
            chat = AiRequest("llm", MODEL, HELLO | {"stream": True})
            streamed = await ask(parse_endpoint(node.uri), Payer(None), chat, timeout_s=120)
            assert (streamed.problems, len(streamed.chunks) > 1) == ((), True)
            poison = AiRequest("upscale", MODEL, requests()["upscale"].fields, png(64, 64) + b"no more")
            with pytest.raises(OutsideWorld, match=r"500 .* container returned 400: "):
                await ask(parse_endpoint(node.uri), Payer(None), poison, timeout_s=120)
            (worker,) = node.server.snapshot().ai_workers
            assert worker.in_use == 0
