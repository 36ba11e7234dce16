"""Every pipeline's request as gateways write it, and the answer as they read it."""

import asyncio
import json
import re

import pytest
from click.testing import CliRunner

from livefleet.ai import SERVED, AiResult, Media
from livefleet.cli import main
from livefleet.kernel import OutsideWorld
from livefleet.spec import Pipeline
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import AiRequest, Payer, ask
from tests.builders.ai import images
from tests.builders.ai_files import mp4, png, wav
from tests.builders.wire import MODEL, FreePayments, OnePlace, a_chunk, credentials_for, work_headers

pytestmark = pytest.mark.component

CHAT = {
    "id": "chat-1",
    "model": MODEL,
    "created": 1,
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello you."}}],
}
HELLO = {"messages": [{"role": "user", "content": "Hello?"}]}


def one_file(data: bytes, content_type: str) -> AiResult:
    body = {"images": [{"url": "0", "seed": 5, "nsfw": False}]}
    return AiResult(body, {"0": Media(data, content_type)})


CASES = {
    "text-to-image": (
        AiRequest("text-to-image", MODEL, {"prompt": "a fleet", "width": 64, "height": 32, "num_images_per_prompt": 2}),
        images(png(64, 32), png(64, 32)),
        64 * 32 * 2,
    ),
    "image-to-image": (
        AiRequest("image-to-image", MODEL, {"prompt": "x", "strength": 0.5, "num_images_per_prompt": 3}, png(40, 30)),
        images(png(40, 24), png(40, 24), png(40, 24)),
        40 * 30 * 3,
    ),
    "image-to-video": (
        AiRequest("image-to-video", MODEL, {"width": 64, "height": 32, "fps": 7}, png(40, 30)),
        one_file(mp4(64, 32), "video/mp4"),
        64 * 32 * 25,
    ),
    "upscale": (
        AiRequest("upscale", MODEL, {"prompt": "x", "safety_check": False}, png(40, 30)),
        images(png(160, 120)),
        40 * 30,
    ),
    "audio-to-text": (
        AiRequest("audio-to-text", MODEL, {"return_timestamps": "word"}, wav(2.5)),
        AiResult({"text": "a word", "chunks": [{"timestamp": [0.0, 1.5], "text": "a word"}]}),
        2 * 1000,
    ),
    "segment-anything-2": (
        AiRequest("segment-anything-2", MODEL, {"point_coords": "[[5,5]]", "point_labels": "[1]"}, png(40, 30)),
        AiResult({"masks": "[[[0.0]],[[1.0]]]", "scores": "[0.9,0.1]", "logits": "[[[0.0]],[[1.0]]]"}),
        40 * 30,
    ),
    "llm": (AiRequest("llm", MODEL, HELLO | {"max_tokens": 12}), AiResult(CHAT), 12),
    "image-to-text": (AiRequest("image-to-text", MODEL, {"prompt": ""}, png(40, 30)), AiResult({"text": "a"}), 1200),
    "text-to-speech": (
        AiRequest("text-to-speech", MODEL, {"text": "Grüße"}),
        AiResult({"audio": {"url": "0"}}, {"0": Media(wav(), "audio/wav")}),
        5 * 1000,  # characters, not the 7 bytes
    ),
}


async def an_orchestrator(serve, pipeline, **model):
    ai, payments = OnePlace(Pipeline(pipeline), **model), FreePayments()
    orchestrator = await serve(ai=ai, payments=payments)
    orchestrator.ai, orchestrator.payments = ai, payments
    return orchestrator


async def asked(orchestrator, request, **limits):
    return await ask(parse_endpoint(orchestrator.uri), Payer(None), request, **limits)


def test_cases__are_all_that_is_served():
    assert set(CASES) == {pipeline.value for pipeline in SERVED}


@pytest.mark.parametrize("pipeline", CASES)
async def test_pipeline__asked_as_gateways_do__answers_what_they_read_and_bills_what_they_reckon(serve, pipeline):
    request, result, units = CASES[pipeline]
    orchestrator = await an_orchestrator(serve, pipeline, result=result)
    report = await asked(orchestrator, request)
    assert report.problems == ()
    assert orchestrator.payments.received == [request.manifest_id]
    assert orchestrator.payments.debits == [(request.manifest_id, units)]
    assert report.units == units
    (job,) = orchestrator.ai.requests
    assert (job.pipeline, job.model_id, job.upload or b"") == (pipeline, MODEL, request.upload)
    assert orchestrator.ai.in_use == 0
    done = orchestrator.server.counters.ai.done
    assert dict(done.items()) == {(pipeline, MODEL): 1}


@pytest.mark.parametrize(
    ("pipeline", "ending", "media_type"),
    [
        ("text-to-image", "png", "image/png"),
        ("image-to-video", "mp4", "video/mp4"),
        ("text-to-speech", "wav", "audio/wav"),
    ],
)
async def test_files__lie_under_the_service_uri_with_a_name_each(serve, pipeline, ending, media_type):
    request, result, _ = CASES[pipeline]
    orchestrator = await an_orchestrator(serve, pipeline, result=result)
    report = await asked(orchestrator, request)
    urls = [media.url for media in report.media]
    assert len(set(urls)) == len(urls) == len(result.media)
    for url in urls:
        assert re.fullmatch(rf"{orchestrator.uri}/stream/[0-9a-f]{{8}}/[0-9a-f]{{8}}\.{ending}", url)
    assert (await orchestrator.http.get(urls[0])).headers["content-type"] == media_type
    assert [media.data for media in report.media] == [media.data for media in result.media.values()]


@pytest.mark.parametrize("pipeline", ["image-to-image", "image-to-video", "upscale", "text-to-speech"])
async def test_old_gateway__pictures_come_inline_and_the_rest_as_urls(serve, pipeline):
    request, result, _ = CASES[pipeline]
    orchestrator = await an_orchestrator(serve, pipeline, result=result)
    headers = await credentials(orchestrator)
    answer = (await orchestrator.http.post(f"{orchestrator.uri}/{pipeline}", headers=headers, **request.body())).json()
    url = answer["audio"]["url"] if pipeline == "text-to-speech" else answer["images"][0]["url"]
    inline = pipeline in {"image-to-image", "upscale"}
    assert url.startswith("data:image/png;base64," if inline else f"{orchestrator.uri}/stream/")


async def test_result_of_an_unknown_kind__is_500_and_not_charged(serve):
    orchestrator = await an_orchestrator(serve, "upscale", result=one_file(b"RIFF", "image/webp"))
    with pytest.raises(OutsideWorld, match="500 unsupported image format: image/webp"):
        await asked(orchestrator, CASES["upscale"][0])
    assert orchestrator.payments.debits == []
    assert orchestrator.ai.in_use == 0


async def command(orchestrator, *arguments, named="ai"):
    """`livefleet gateway ai`: its exit code and its JSON."""
    common = ["--orchestrator", orchestrator.uri, "--model", MODEL, "--json"]
    told = await asyncio.to_thread(CliRunner().invoke, main, ["gateway", named, *arguments, *common])
    return told.exit_code, json.loads(told.stdout) if told.stdout else None


async def test_command__speech__keeps_the_file_and_says_what_it_is(serve, tmp_path):
    _, result, _ = CASES["text-to-speech"]
    orchestrator = await an_orchestrator(serve, "text-to-speech", result=result)
    code, told = await command(orchestrator, "text-to-speech", "--prompt", "Grüße", "--out", str(tmp_path / "new"))
    assert (code, told["ok"], told["units"], told["problems"]) == (0, True, 5000, [])
    (file,) = told["files"]
    assert (file["content_type"], file["seconds"]) == ("audio/wav", 2.5)
    assert (tmp_path / file["path"]).read_bytes() == wav()


async def test_command__text_to_image__keeps_the_picture(serve, tmp_path):
    orchestrator = await an_orchestrator(serve, "text-to-image", result=images(png(64, 32), first_seed=9))
    arguments = ("--prompt", "x", "--width", "64", "--height", "32", "--steps", "2", "--out", str(tmp_path))
    code, told = await command(orchestrator, *arguments, named="text-to-image")
    assert (code, told["seeds"], orchestrator.ai.requests[0].fields["num_inference_steps"]) == (0, [9], 2)
    assert (tmp_path / told["files"][0]).read_bytes() == png(64, 32)
    code, _ = await command(
        orchestrator, "--prompt", "x", "--width", "128", "--out", str(tmp_path), named="text-to-image"
    )
    assert code == 3


async def test_command__stream__tells_the_words(serve):
    chunks = [a_chunk("Hel"), a_chunk("lo."), a_chunk(finish="stop")]
    orchestrator = await an_orchestrator(serve, "llm", chunks=chunks)
    arguments = ("llm", "--prompt", "Hello?", "--stream", "--field", "max_tokens=9")
    code, told = await command(orchestrator, *arguments)
    assert (code, told["text"], told["chunks"], told["units"]) == (0, "Hello.", 3, 9)
    assert orchestrator.ai.requests[0].fields["messages"] == [{"role": "user", "content": "Hello?"}]


async def test_command__not_what_was_asked_for__is_partly_failed(serve, tmp_path):
    (tmp_path / "in.png").write_bytes(png(40, 30))
    orchestrator = await an_orchestrator(serve, "upscale", result=images(png(40, 30)))
    code, told = await command(
        orchestrator, "upscale", "--image", str(tmp_path / "in.png"), "--prompt", "x", "--out", str(tmp_path)
    )
    assert (code, told["ok"]) == (1, False)
    assert told["problems"] == ["a picture of 40x30 came back, not 160x120"]


async def test_command__refused__is_the_outside_saying_no(serve):
    orchestrator = await an_orchestrator(serve, "llm", chunks=[])
    assert await command(orchestrator, "upscale-not", "--prompt", "x") == (2, None)
    assert await command(orchestrator, "text-to-speech", "--prompt", "x") == (3, None)


async def credentials(orchestrator):
    """Off-chain ones, as small as they may be."""
    token = (await orchestrator.info()).auth_token
    sent = work_headers(credentials_for(token, b"", profiles=(), capabilities=None), signer=None)
    del sent["Content-Type"]
    return sent
