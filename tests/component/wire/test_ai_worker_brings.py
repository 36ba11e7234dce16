"""Every kind of work, done for our orchestrator by an AI worker that behaves as go-livepeer's."""

import asyncio
import contextlib
import json

import httpx
import pytest

from livefleet.ai import AiJob
from livefleet.kernel import Refused
from livefleet.spec import Pipeline
from tests.builders.ai_workers import CAPABILITIES, SECRET, GoAiWorker
from tests.builders.wire import a_chunk, until

pytestmark = pytest.mark.component

MODEL = "owner/model"
PNG = b"\x89PNG\r\n\x1a\n\r\n--0011"


class Site:
    """An orchestrator and a worker with two places for one pipeline's model."""

    def __init__(self, orchestrator, worker, pipeline):
        self.pool = orchestrator.server._ai_pool
        self.worker = worker
        self.orchestrator = orchestrator
        self.pipeline = pipeline

    async def run(self, job):
        with self.pool.reserve(job.pipeline, job.model_id) as place:
            return await place.run(job)

    async def stream(self, heard):
        """Into `heard`, chunk by chunk."""
        with self.pool.reserve(Pipeline.LLM, MODEL) as place, contextlib.ExitStack() as end:
            end.callback(heard.put_nowait, None)
            async with contextlib.aclosing(place.stream(a_job(Pipeline.LLM, streams=True))) as chunks:
                async for chunk in chunks:
                    heard.put_nowait(chunk)

    @property
    def in_use(self):
        return sum(worker.in_use for worker in self.orchestrator.server.snapshot().ai_workers)


@pytest.fixture
async def site(serve):
    """`await site(pipeline)`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(pipeline):
            orchestrator = await serve(worker_secret=SECRET)
            worker = await stack.enter_async_context(GoAiWorker(orchestrator.uri))
            worker.register({MODEL: 2}, capability=CAPABILITIES[pipeline])
            await until(lambda: orchestrator.server.snapshot().ai_workers)
            return Site(orchestrator, worker, pipeline)

        yield start


def a_job(pipeline, *, upload=None, media=0, streams=False, **fields):
    named = {"model" if pipeline is Pipeline.LLM else "model_id": MODEL}
    return AiJob(pipeline, MODEL, named | fields, units=1, upload=upload, media=media, streams=streams)


@pytest.mark.parametrize(
    ("pipeline", "told", "files", "contents"),
    [
        (
            Pipeline.IMAGE_TO_IMAGE,
            {"images": [{"url": f"0000000{c}.png", "seed": 1, "nsfw": c == "a"} for c in "ab"]},
            {"0000000b.png": ("image/png", PNG + b"b"), "0000000a.png": ("image/png", PNG + b"a")},
            [PNG + b"a", PNG + b"b"],
        ),
        (
            Pipeline.IMAGE_TO_VIDEO,
            {"images": [{"url": "0000000a.mp4", "seed": 1, "nsfw": False}]},
            {"0000000a.mp4": ("video/mp4", b"\0\0\0\x20ftypisom")},
            [b"\0\0\0\x20ftypisom"],
        ),
        (
            Pipeline.UPSCALE,
            {"images": [{"url": "0000000a.png", "seed": 1, "nsfw": False}]},
            {"0000000a.png": ("image/png", PNG)},
            [PNG],
        ),
        (Pipeline.AUDIO_TO_TEXT, {"text": " hey", "chunks": [{"timestamp": [0, 1.5], "text": " hey"}]}, {}, []),
        (Pipeline.SEGMENT_ANYTHING_2, {"masks": "[[[0,1]]]", "scores": "[0.9]", "logits": "[[[0.1]]]"}, {}, []),
        (Pipeline.IMAGE_TO_TEXT, {"text": "a boat"}, {}, []),
    ],
)  # fmt: skip
async def test_file__is_fetched_by_the_worker_and_its_result_comes_whole(site, pipeline, told, files, contents):
    here = await site(pipeline)
    job = a_job(pipeline, upload=PNG * 20_000, media=len(files))
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(here.run(job))
        task = await here.worker.job()
        data = json.loads(task.AIJobData.requestData)
        field = "audio" if pipeline is Pipeline.AUDIO_TO_TEXT else "image"
        assert (task.AIJobData.pipeline, data["request"]) == (pipeline.value, {"model_id": MODEL, field: None})
        assert data["input_url"].startswith(f"{here.orchestrator.uri}/stream/")
        fetched = await here.worker.fetch(task)
        assert (fetched.status_code, fetched.content) == (200, PNG * 20_000)
        assert (await here.worker.upload_result(task, told, files)).text == "OK"
    result = asked.result()
    assert result.body == told
    named = []
    result.with_urls(lambda media: named.append(media) or "")
    assert [media.data for media in named] == contents
    assert {media.content_type for media in named} == {kind for kind, _ in files.values()}
    assert (await here.worker.fetch(task)).status_code == 404  # nobody needs it any more
    assert here.in_use == 0


async def test_sound__comes_as_a_file_beside_the_json(site):
    here = await site(Pipeline.TEXT_TO_SPEECH)
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(here.run(a_job(Pipeline.TEXT_TO_SPEECH, media=1, text="ahoy")))
        task = await here.worker.job()
        request = {"model_id": MODEL, "text": "ahoy"}
        assert json.loads(task.AIJobData.requestData) == {"input_url": "", "request": request}
        await here.worker.upload_result(
            task, {"audio": {"url": "0000000a.wav"}}, {"0000000a.wav": ("audio/wav", b"RIFF")}
        )
    ((_, sound),) = asked.result().media.items()
    assert (sound.data, sound.content_type) == (b"RIFF", "audio/wav")


async def test_llm__without_stream__comes_as_json(site):
    here = await site(Pipeline.LLM)
    told = {"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "hi"}}], "usage": {}}
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(here.run(a_job(Pipeline.LLM, messages=[{"role": "user", "content": "hello"}])))
        task = await here.worker.job()
        assert json.loads(task.AIJobData.requestData)["request"]["model"] == MODEL
        await here.worker.upload_result(task, told)
    assert asked.result().body == told


async def test_stream__each_chunk_is_there_before_the_next_is_made(site):
    here, heard = await site(Pipeline.LLM), asyncio.Queue()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(here.stream(heard))
        async with here.worker.stream(await here.worker.job()) as answer:
            for text in ("one ", "two ", "three"):
                answer.send(a_chunk(text))
                assert await heard.get() == a_chunk(text)
            assert here.in_use == 1
            answer.send(a_chunk("", finish="stop"))
            assert await heard.get() == a_chunk("", finish="stop")
            assert await heard.get() is None  # the end, though the body is open still
            taken = await answer.close()
    assert (taken.status_code, taken.text, taken.http_version) == (200, "OK", "HTTP/2")
    assert here.in_use == 0


async def test_stream__worker_dies_in_it__ends_with_an_error_and_is_not_begun_again(site):
    here, heard = await site(Pipeline.LLM), asyncio.Queue()

    async def ask():
        with pytest.raises(Refused, match="the worker's stream broke off"):
            await here.stream(heard)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(ask())
        async with here.worker.stream(await here.worker.job()) as answer:
            answer.send(a_chunk("one "))
            assert await heard.get() == a_chunk("one ")
            await answer.die()
    assert here.pool.retries == 0
    assert here.in_use == 0


async def test_stream__worker_dies_before_a_chunk__the_job_is_sent_again(site):
    here, heard = await site(Pipeline.LLM), asyncio.Queue()
    here.pool._grace_s = 1
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(here.stream(heard))
        async with here.worker.stream(await here.worker.job()) as answer:
            answer.send_raw(b"data: {")
            await asyncio.sleep(0.3)  # until it is under way
            await answer.die()
        async with here.worker.stream(await here.worker.job()) as answer:
            answer.send(a_chunk("whole", finish="stop"))
            await answer.close()
    assert await heard.get() == a_chunk("whole", finish="stop")
    assert here.pool.retries == 1


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ([b""], "the worker's stream ended early"),
        ([b'data: {"choices":[]}\n\n'], "a chunk without `choices`"),
        ([b"data: {\n\n"], "an event that is no chunk"),
    ],
)
async def test_stream__broken_before_a_chunk__fails_the_job_and_the_worker_hears_it(site, events, fault):
    here, heard = await site(Pipeline.LLM), asyncio.Queue()

    async def ask():
        with pytest.raises(Refused, match=fault) as caught:
            await here.stream(heard)
        assert caught.value.status == 500

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(ask())
        async with here.worker.stream(await here.worker.job()) as answer:
            for event in events:
                answer.send_raw(event)
            taken = await answer.close()
    assert taken.status_code == 500
    assert taken.text.startswith(fault)


async def test_stream__ends_without_a_reason__what_came_was_not_all(site):
    here, heard = await site(Pipeline.LLM), asyncio.Queue()

    async def ask():
        with pytest.raises(Refused, match="ended early"):
            await here.stream(heard)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(ask())
        async with here.worker.stream(await here.worker.job()) as answer:
            answer.send(a_chunk("half"))
            assert (await answer.close()).status_code == 500
    assert await heard.get() == a_chunk("half")


async def test_stream__takes_longer_than_is_read__ends_with_an_error(site):
    here, heard = await site(Pipeline.LLM), asyncio.Queue()
    here.pool.longest_stream_s = 0.3

    async def ask():
        with pytest.raises(Refused, match="the worker's stream took too long"):
            await here.stream(heard)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(ask())
        async with here.worker.stream(await here.worker.job()) as answer:
            answer.send(a_chunk("one "))
            assert await heard.get() == a_chunk("one ")
            assert await heard.get() is None
    assert here.in_use == 0


async def test_stream__error_instead__is_the_gateways_to_hear(site):
    here, heard = await site(Pipeline.LLM), asyncio.Queue()
    text = "unexpected status code: 500"

    async def ask():
        with pytest.raises(Refused, match=text):
            await here.stream(heard)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(ask())
        task = await here.worker.job()
        await here.worker.post(task.taskId, text.encode(), Content_Type="livepeer/ai-worker-error", Pipeline="llm")
    assert await heard.get() is None


async def test_result__where_a_stream_was_asked_for__fails_the_job_at_once(site):
    here, heard = await site(Pipeline.LLM), asyncio.Queue()

    async def ask():
        with pytest.raises(Refused, match="the worker's result is of the type multipart/mixed"):
            await here.stream(heard)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(ask())
        assert (await here.worker.upload_result(await here.worker.job(), {"text": "all"})).status_code == 200


async def test_result__announced_too_large__is_refused_before_it_comes(site):
    here = await site(Pipeline.UPSCALE)

    async def body():
        yield b"--"
        await asyncio.Event().wait()

    asked = asyncio.ensure_future(here.run(a_job(Pipeline.UPSCALE, upload=PNG, media=1)))
    task = await here.worker.job()
    posting = asyncio.ensure_future(here.worker.post(task.taskId, body(), Content_Length="3000000000"))
    async with asyncio.timeout(20):
        with pytest.raises(Refused, match="a result of more than 256000000 bytes"):
            await asked
    posting.cancel()
    with contextlib.suppress(asyncio.CancelledError, httpx.HTTPError):
        await posting
