"""Every kind of work, done by our AI worker for an orchestrator that goes by go-livepeer's rules."""

import asyncio
import contextlib

import pytest

from livefleet.ai import AiResult, Media
from livefleet.kernel import Backoff, ConditionBoard, Refused, SystemClock
from livefleet.wire.worker import AiWorker
from tests.builders.ai_files import a_picture, wav
from tests.builders.ai_workers import SECRET, ReferenceOrchestrator, Words
from tests.builders.wire import a_chunk, a_rng, until

pytestmark = pytest.mark.component

MODEL = "owner/model"
PICTURE = a_picture(64, 32)
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "ahoy"}], "max_tokens": 16}


@pytest.fixture
async def reference(run_dir):
    async with ReferenceOrchestrator(run_dir) as orchestrator:
        orchestrator.files["picture.tempfile"] = PICTURE
        orchestrator.files["sound.tempfile"] = wav(1.5)
        yield orchestrator


@pytest.fixture
async def hire(reference):
    """`await hire(models)` joins our worker to the orchestrator."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(models):
            worker = AiWorker(
                orchestrator=reference.uri.removeprefix("https://"),
                secret=SECRET,
                ai=models,
                hardware=tuple,
                board=ConditionBoard(SystemClock()),
                rng=a_rng(),
                backoff=Backoff(first_s=0.1, cap_s=1),
                drain_s=5,
            )
            await stack.enter_async_context(worker)
            await until(lambda: reference.streams)
            return worker

        yield start


def pictures(kind, *contents):
    entries = [{"url": str(n), "seed": n, "nsfw": False} for n in range(len(contents))]
    return AiResult({"images": entries}, {str(n): Media(content, kind) for n, content in enumerate(contents)})


def frames(count):
    entries = [{"url": str(n), "seed": 5, "nsfw": False} for n in range(count)]
    return AiResult({"frames": [entries]}, {str(n): Media(PICTURE, "image/png") for n in range(count)})


PICTURE_JOBS = [
    ("image-to-image", {"prompt": "x", "num_images_per_prompt": 2}, pictures("image/png", b"one", b"two"), "png"),
    ("upscale", {"prompt": "x"}, pictures("image/png", b"one"), "png"),
    ("segment-anything-2", {"point_coords": "[[1,2]]", "point_labels": "[1]"}, AiResult({"masks": "[[1]]"}), ""),
    ("image-to-text", {"prompt": ""}, AiResult({"text": "a boat"}), ""),
]


@pytest.mark.parametrize(("pipeline", "fields", "result", "ending"), PICTURE_JOBS)
async def test_picture__is_fetched_and_what_is_made_of_it_is_brought(reference, hire, pipeline, fields, result, ending):
    models = Words({(pipeline, MODEL): result})
    await hire(models)
    request = {"image": None, "model_id": MODEL} | fields  # as Go marshals it
    reference.send(3, request, pipeline=pipeline, input_url=f"{reference.uri}/stream/picture.tempfile")
    upload = await reference.upload()
    assert upload.error is None
    assert models.jobs[0].upload == PICTURE
    assert (upload.headers["taskid"], upload.headers["pipeline"]) == ("3", pipeline)
    named = iter(upload.files)
    assert upload.told == result.with_urls(lambda _: next(named))
    assert list(upload.files.values()) == [(media.content_type, media.data) for media in result.media.values()]
    assert all(name.endswith(ending) for name in upload.files)


async def test_film__frames_are_joined_to_one(reference, hire):
    await hire(Words({("image-to-video", MODEL): frames(3)}))
    request = {"image": None, "model_id": MODEL, "width": 64, "height": 32, "fps": 8}
    reference.send(0, request, pipeline="image-to-video", input_url=f"{reference.uri}/stream/picture.tempfile")
    upload = await reference.upload()
    assert upload.error is None
    ((name, (kind, film)),) = upload.files.items()
    assert (kind, film[4:8]) == ("video/mp4", b"ftyp")
    assert upload.told == {"images": [{"url": name, "seed": 5, "nsfw": False}]}


async def test_film__of_two_batches__is_refused_in_gos_words(reference, hire):
    await hire(Words({("image-to-video", MODEL): AiResult({"frames": [[], []]})}))
    request = {"image": None, "model_id": MODEL, "width": 64, "height": 32}
    reference.send(0, request, pipeline="image-to-video", input_url=f"{reference.uri}/stream/picture.tempfile")
    text = "unexpected number of image-to-video outputs expected=1 actual=2"
    assert (await reference.upload()).error == text


async def test_sound_in__words_out(reference, hire):
    told = {"text": " hé", "chunks": [{"timestamp": [0.0, 1.5], "text": " hé"}]}
    models = Words({("audio-to-text", MODEL): AiResult(told)})
    await hire(models)
    request = {"audio": None, "model_id": MODEL, "metadata": '{"duration":"1"}', "return_timestamps": "word"}
    reference.send(0, request, pipeline="audio-to-text", input_url=f"{reference.uri}/stream/sound.tempfile")
    upload = await reference.upload()
    assert (upload.told, upload.files) == (told, {})
    assert models.jobs[0].upload == wav(1.5)
    assert models.jobs[0].fields["return_timestamps"] == "word"


async def test_words_in__sound_out(reference, hire):
    await hire(
        Words({("text-to-speech", MODEL): AiResult({"audio": {"url": "0"}}, {"0": Media(b"RIFF", "audio/wav")})})
    )
    reference.send(0, {"model_id": MODEL, "text": "ahoy"}, pipeline="text-to-speech")
    upload = await reference.upload()
    ((name, file),) = upload.files.items()
    assert file == ("audio/wav", b"RIFF")
    assert upload.told == {"audio": {"url": name}}


async def test_llm__without_stream__is_brought_as_json(reference, hire):
    told = {"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "hi"}}], "usage": {}}
    await hire(Words({("llm", MODEL): AiResult(told)}))
    reference.send(0, CHAT | {"stream": False}, pipeline="llm")
    upload = await reference.upload()
    assert upload.headers["content-type"].startswith("multipart/mixed; boundary=")
    assert (upload.told, upload.files) == (told, {})


async def test_llm__stream__each_chunk_goes_up_before_the_next_is_made(reference, hire):
    unreadable = {"choices": [], "usage": {"total_tokens": 2}}
    chunks = [a_chunk("one "), unreadable, a_chunk("two"), a_chunk("", finish="stop")]
    models = Words({("llm", MODEL): [*chunks, a_chunk("too much")]})
    worker = await hire(models)
    reference.send(7, CHAT | {"stream": True}, pipeline="llm")
    models.steps.release()
    upload = await reference.upload()
    sent = {name: upload.headers[name] for name in ("authorization", "credentials", "taskid", "pipeline")}
    assert sent == {
        "authorization": "Livepeer-AI-Worker-1.0",
        "credentials": SECRET,
        "taskid": "7",
        "pipeline": "llm",
    }
    assert (upload.headers["content-type"], upload.headers["cache-control"]) == ("text/event-stream", "no-cache")
    async with asyncio.timeout(20):
        assert await upload.events.get() == chunks[0]
        assert models.in_use
        models.steps.release()  # for the one that Go could not read
        models.steps.release()
        assert await upload.events.get() == chunks[2]
        models.steps.release()
        assert await upload.events.get() == chunks[3]
        assert await upload.events.get() is None
    await until(lambda: worker.snapshot().done == 1)
    assert not models.in_use


async def test_llm__fails_before_a_chunk__is_an_error(reference, hire):
    models = Words({("llm", MODEL): [Refused("LLM container returned 500: Internal server error", status=500)]})
    models.steps.release()
    await hire(models)
    reference.send(0, CHAT | {"stream": True}, pipeline="llm")
    upload = await reference.upload()
    assert upload.headers["content-type"] == "livepeer/ai-worker-error"
    assert upload.error == "LLM container returned 500: Internal server error"


async def test_llm__says_nothing_at_all__is_an_error(reference, hire):
    await hire(Words({("llm", MODEL): []}))
    reference.send(0, CHAT | {"stream": True}, pipeline="llm")
    assert (await reference.upload()).error == "LLM container sent no chunk"


async def test_llm__fails_in_the_middle__its_stream_just_ends(reference, hire):
    models = Words({("llm", MODEL): [a_chunk("half"), Refused("LLM container went away", status=500)]})
    worker = await hire(models)
    reference.send(0, CHAT | {"stream": True}, pipeline="llm")
    for _ in range(2):
        models.steps.release()
    upload = await reference.upload()
    async with asyncio.timeout(20):
        assert [await upload.events.get(), await upload.events.get()] == [a_chunk("half"), None]
    await until(lambda: worker.snapshot().failed == 1)
    assert not models.in_use


async def test_llm__orchestrator_wants_no_more__the_model_stops(reference, hire):
    models = Words({("llm", MODEL): [a_chunk(str(n)) for n in range(1000)]})
    reference.hangs_up = True
    await hire(models)
    reference.send(0, CHAT | {"stream": True}, pipeline="llm")
    models.steps.release()
    await reference.upload()
    await until(lambda: models.stopped)  # though it waits for its next word
    assert not models.in_use


async def test_several_models_at_once__each_does_its_own(reference, hire):
    words = [a_chunk("hi", finish="stop")]
    models = Words({("llm", MODEL): words, ("image-to-text", MODEL): AiResult({"text": "a boat"})})
    await hire(models)
    reference.send(1, CHAT | {"stream": True}, pipeline="llm")
    await until(lambda: models.jobs)
    picture = f"{reference.uri}/stream/picture.tempfile"
    reference.send(2, {"image": None, "model_id": MODEL, "prompt": ""}, pipeline="image-to-text", input_url=picture)
    assert (await reference.upload()).told == {"text": "a boat"}  # while the first waits
    reference.send(3, CHAT | {"stream": True}, pipeline="llm")
    assert (await reference.upload()).error == "no workers can process job requested"
    models.steps.release()
    async with asyncio.timeout(20):
        assert await (await reference.upload()).events.get() == a_chunk("hi", finish="stop")
    told = reference.registered[0].capabilities
    assert set(told.constraints.PerCapability) == {33, 34}


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("{uri}/stream/gone.tempfile", "404 Not Found"),
        ("", "cannot fetch the source: UnsupportedProtocol"),
        ("https://127.0.0.1:9/x", "cannot fetch the source: ConnectError"),
        ("{uri}/stream/words.tempfile", "image: unknown format"),
    ],
)
async def test_input__not_to_be_had__is_told_in_gos_words(reference, hire, url, fault):
    models = Words({("image-to-text", MODEL): AiResult({"text": "never"})})
    reference.files["words.tempfile"] = b"words"
    await hire(models)
    request = {"image": None, "model_id": MODEL, "prompt": ""}
    reference.send(0, request, pipeline="image-to-text", input_url=url.format(uri=reference.uri))
    error = (await reference.upload()).error
    assert error == f"AI request validation failed for image-to-text pipeline err={fault}"
    assert not models.in_use


async def test_model_goes__is_retracted_within_two_seconds(reference, hire):
    models = Words({("llm", MODEL): [], ("image-to-text", MODEL): AiResult({"text": "a boat"})})
    await hire(models)
    del models.answers["llm", MODEL]
    async with asyncio.timeout(2):
        while len(reference.registered) < 2 or not reference.streams:
            await asyncio.sleep(0.05)
    assert set(reference.registered[1].capabilities.constraints.PerCapability) == {34}
    models.answers["llm", MODEL] = []
    await until(lambda: len(reference.registered) == 3)
    assert set(reference.registered[2].capabilities.constraints.PerCapability) == {33, 34}
