"""Our gateway, our orchestrator without models, our AI worker with them: the whole way over real sockets."""

import asyncio
import contextlib
import json

import httpx
import pytest

from livefleet.ai import AiResult, Media
from livefleet.kernel import Backoff, ConditionBoard, OutsideWorld, Refused, SystemClock
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import AiRequest, Payer, ask
from livefleet.wire.worker import AiWorker
from tests.builders.ai_files import a_picture
from tests.builders.ai_workers import SECRET, Words
from tests.builders.wire import FreePayments, a_chunk, a_rng, credentials_for, until, work_headers

pytestmark = pytest.mark.component

MODEL = "owner/model"
CHAT = {"messages": [{"role": "user", "content": "ahoy"}], "max_tokens": 16, "stream": True}


class Site:
    """Both ends, and what a gateway does with them."""

    def __init__(self, orchestrator, worker, models):
        self.orchestrator = orchestrator
        self.worker = worker
        self.models = models

    async def ask(self, pipeline, fields, upload=b""):
        return await ask(parse_endpoint(self.orchestrator.uri), Payer(None), AiRequest(pipeline, MODEL, fields, upload))

    @contextlib.asynccontextmanager
    async def listening(self):
        """A chat whose chunks can be read one by one, and whose connection ends with the block."""
        token = (await self.orchestrator.info()).auth_token
        sent = work_headers(credentials_for(token, b"", profiles=(), capabilities=None), signer=None)
        headers = {"Livepeer-Segment": sent["Livepeer-Segment"], "Livepeer-Payment": ""}
        async with (
            httpx.AsyncClient(verify=False, timeout=30) as http,
            http.stream("POST", f"{self.orchestrator.uri}/llm", json=CHAT | {"model": MODEL}, headers=headers) as reply,
        ):
            assert reply.status_code == 200, await reply.aread()
            yield (json.loads(line.removeprefix("data: ")) async for line in reply.aiter_lines() if line)


@pytest.fixture
async def site(serve):
    """`await site(answers)`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(answers):
            orchestrator = await serve(worker_secret=SECRET, payments=FreePayments())
            models = Words({(pipeline, MODEL): answer for pipeline, answer in answers.items()})
            worker = AiWorker(
                orchestrator=orchestrator.uri.removeprefix("https://"),
                secret=SECRET,
                ai=models,
                hardware=tuple,
                board=ConditionBoard(SystemClock()),
                rng=a_rng(),
                backoff=Backoff(first_s=0.1, cap_s=1),
                drain_s=5,
            )
            await stack.enter_async_context(worker)
            await until(lambda: orchestrator.server.snapshot().ai_workers)
            return Site(orchestrator, worker, models)

        yield start


async def test_picture__goes_there_and_comes_back_as_a_film(site):
    entries = [{"url": str(n), "seed": 5, "nsfw": False} for n in range(3)]
    frames = {str(n): Media(a_picture(64, 32), "image/png") for n in range(3)}
    here = await site({"image-to-video": AiResult({"frames": [entries]}, frames)})
    report = await here.ask("image-to-video", {"width": 64, "height": 32, "fps": 8}, a_picture(48, 40))
    (film,) = report.media
    assert (film.content_type, film.width, film.height, film.frames) == ("video/mp4", 64, 32, 3)
    assert here.models.jobs[0].upload == a_picture(48, 40)
    assert here.orchestrator.server._store.unread == 0  # neither the film nor the picture is waited for
    assert here.worker.snapshot().done == 1


async def test_chat__each_word_is_heard_before_the_next_is_made(site):
    words = [a_chunk("one "), a_chunk("two"), a_chunk("", finish="stop")]
    here = await site({"llm": words})
    here.models.steps.release()
    async with here.listening() as chunks, asyncio.timeout(20):
        for word in words:
            assert await anext(chunks) == word
            here.models.steps.release()
        assert await anext(chunks, None) is None
    await until(lambda: here.worker.snapshot().done == 1)
    assert not here.models.in_use


async def test_chat__chunk_larger_than_a_window__is_whole(site):
    long = a_chunk("x" * 400_000, finish="length")
    here = await site({"llm": [long]})
    here.models.steps.release()
    async with here.listening() as chunks, asyncio.timeout(20):
        assert await anext(chunks) == long
    await until(lambda: here.worker.snapshot().done == 1)


async def test_chat__gateway_hangs_up__the_workers_model_stops(site):
    here = await site({"llm": [a_chunk(str(n)) for n in range(1000)]})
    here.models.steps.release()
    async with here.listening() as chunks:
        await anext(chunks)
    await until(lambda: here.models.stopped)  # though it has no next word to bring
    assert not here.models.in_use
    await until(lambda: not here.orchestrator.server.in_flight)


async def test_chat__workers_model_fails_in_the_middle__the_answer_breaks_off(site):
    here = await site({"llm": [a_chunk("half"), Refused("LLM container went away", status=500)]})
    here.models.steps.release()
    async with here.listening() as chunks, asyncio.timeout(20):
        await anext(chunks)
        here.models.steps.release()
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, StopAsyncIteration)):
            await anext(chunks)
    assert here.orchestrator.server.snapshot().ai_worker_retries == 0


async def test_chat__workers_model_fails_at_once__its_words_reach_the_gateway(site):
    here = await site({"llm": [Refused("LLM container returned 500: Internal server error", status=500)]})
    here.models.steps.release()
    with pytest.raises(OutsideWorld, match="LLM container returned 500: Internal server error"):
        await here.ask("llm", CHAT)
    await until(lambda: here.worker.snapshot().failed == 1)
