"""Models of an Ollama server, over real sockets: a server written from Ollama's API documentation."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from livefleet.ai import AiJob, NoCapacity, RunnerRefused
from livefleet.ai.catalogue import Placement
from livefleet.ai.ollama import OllamaModel, is_ollama
from livefleet.ai.watch import RunnerState, WatchLimits
from livefleet.spec import Pipeline
from tests.builders.ai import an_entry
from tests.builders.ai_runner import serving
from tests.builders.ollama import VRAM, OllamaServer
from tests.builders.wire import free_port

pytestmark = pytest.mark.component

MODEL = "meta-llama/Llama-3.2-1B-Instruct"
TAG = "llama3.2:1b"
HELLO = [{"role": "user", "content": "capital of France?"}]
FAILED = "LLM container returned 500: Internal server error during LLM processing."
QUICK = WatchLimits(loading_every_s=0.05, health_every_s=0.1, health_timeout_s=2)


def a_job(**fields: Any) -> AiJob:
    given = {"messages": HELLO, "model": MODEL, "temperature": 0.5, "max_tokens": 9, "top_p": 0.9, "top_k": -1}
    return AiJob(Pipeline.LLM, MODEL, given | {"stream": False} | fields, 9, streams=bool(fields.get("stream")))


@asynccontextmanager
async def a_model(
    url: str,
    *,
    warm: bool = True,
    tag: str = TAG,
    token: str | None = None,
    request_timeout_s: float = 20,
    silence_s: float = 20,
) -> AsyncIterator[OllamaModel]:
    """Its messages, as they change, are in `told`."""
    entry = an_entry(pipeline=Pipeline.LLM, model_id=MODEL, url=url, source=f"ollama:{tag}", warm=warm, device="auto")
    assert is_ollama(entry)
    told: list[str] = []
    model = OllamaModel(
        Placement(entry, "url", "float32"),
        token=token,
        request_timeout_s=request_timeout_s,
        rng=random.Random(1),
        on_change=lambda: told.append(model.view().message),
        limits=replace(QUICK, load_timeout_s=silence_s),
    )
    model.told = told
    async with asyncio.TaskGroup() as group:
        duty = group.create_task(model.run())
        try:
            yield model
        finally:
            duty.cancel()


def is_in(model: OllamaModel, state: RunnerState) -> Callable[[], bool]:
    return lambda: model.view().state is state


async def test_ollama__model_not_there__is_pulled_with_progress_loaded_and_asked_by_its_tag(eventually):
    server = OllamaServer(hub={TAG})
    async with serving(server) as url, a_model(url) as model:
        assert not model.view().serves
        await eventually(is_in(model, RunnerState.READY))
        assert server.pulls == 1
        progress = [message for message in model.told if " pulls " in message]
        # 21 % and 22 % are one step: operators get lines by the dozen, not by the thousand.
        assert [text.rpartition(": ")[2] for text in progress] == [
            "pulling manifest",
            "pulling dde5aa3fc5ff 0 % of 2.02 GB",
            "pulling dde5aa3fc5ff 20 % of 2.02 GB",
            "pulling dde5aa3fc5ff 50 % of 2.02 GB",
            "pulling dde5aa3fc5ff 100 % of 2.02 GB",
            "verifying sha256 digest",
        ]
        view = model.view()
        assert (view.runner_version, view.free, view.faulty) == ("0.14.1", 1, False)
        assert model.vram == VRAM

        answer = (await model.run_job(a_job(seed=5))).body
        assert answer["choices"] == [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris."}}
        ]
        assert answer["model"] == MODEL
        assert answer["usage"] == {"prompt_tokens": 26, "completion_tokens": 3, "total_tokens": 29}
        assert server.asked[-1] == {
            "model": TAG,
            "messages": HELLO,
            "options": {"temperature": 0.5, "top_p": 0.9, "top_k": 0, "num_predict": 9, "seed": 5},
            "stream": True,
            "keep_alive": -1,
        }


async def test_ollama__stream__is_chunks_that_gateways_read(eventually):
    server = OllamaServer(on_disk={TAG})
    server.done_reason = "length"
    async with serving(server) as url, a_model(url) as model:
        await eventually(is_in(model, RunnerState.READY))
        chunks = [chunk async for chunk in model.stream_job(a_job(stream=True))]
    assert server.pulls == 0
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["Par", "is", ".", ""]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == ["", "", "", "length"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks] == [1, 2, 3, 3]
    assert chunks[-1]["usage"]["total_tokens"] == 29


async def test_ollama__reader_leaves__server_stops_computing(eventually):
    server = OllamaServer(on_disk={TAG})
    async with serving(server) as url, a_model(url) as model:
        await eventually(is_in(model, RunnerState.READY))
        server.hold.clear()
        chunks = model.stream_job(a_job(stream=True))
        assert (await anext(chunks))["choices"][0]["delta"]["content"] == "Par"
        await chunks.aclose()
        await eventually(lambda: server.cancelled == 1)

        request = asyncio.ensure_future(model.run_job(a_job()))
        await eventually(lambda: len(server.asked) == 3)
        request.cancel()
        await eventually(lambda: server.cancelled == 2)


async def test_ollama__declared_cold__is_pulled_but_not_loaded_before_a_request(eventually):
    server = OllamaServer(hub={TAG})
    server.hold.clear()
    async with serving(server) as url, a_model(url, warm=False) as model:
        await eventually(lambda: " 50 % " in model.view().message)
        # A gateway that asks now would wait for gigabytes.
        assert not model.view().serves
        with pytest.raises(NoCapacity):
            await model.run_job(a_job())
        server.hold.set()
        await eventually(is_in(model, RunnerState.COLD))
        assert model.view().serves
        assert server.asked == []
        await model.run_job(a_job())
        assert "keep_alive" not in server.asked[0]
        await eventually(is_in(model, RunnerState.READY))
        server.in_memory.clear()
        await eventually(is_in(model, RunnerState.COLD))


async def test_ollama__server_dead__is_lost_and_comes_back_with_it(eventually):
    port, server = free_port(), OllamaServer(on_disk={TAG})
    async with a_model(f"http://127.0.0.1:{port}") as model:
        await eventually(lambda: model.view().faulty)
        with pytest.raises(NoCapacity):
            await model.run_job(a_job())
        async with serving(server, port=port):
            await eventually(is_in(model, RunnerState.READY))
            assert not model.view().faulty
            server.hold.clear()
            request = asyncio.ensure_future(model.run_job(a_job()))
            await eventually(lambda: len(server.asked) == 2)
            server.breaks = True
        # Whatever ends first, the request is answered and the model no longer offered.
        with pytest.raises(RunnerRefused, match=FAILED):
            await request
        await eventually(is_in(model, RunnerState.LOST))
        assert not model.view().serves


async def test_ollama__model_unknown_to_the_hub__says_so(eventually):
    async with serving(OllamaServer()) as url, a_model(url, tag="no-such") as model:
        await eventually(lambda: model.view().faulty)
        view = model.view()
        assert (view.state, view.message) == (RunnerState.LOST, "pull model manifest: file does not exist")
        assert not view.serves


async def test_ollama__pull_stalls_or_breaks__goes_on_by_itself(eventually):
    server = OllamaServer(hub={TAG})
    server.hold.clear()
    async with serving(server) as url, a_model(url, silence_s=0.5) as model:
        await eventually(lambda: server.pulls == 2)
        assert "said nothing for too long" in model.view().message
        server.breaks = True
        server.hold.set()
        await eventually(is_in(model, RunnerState.READY))
        assert server.pulls == 3


async def test_ollama__model_deleted_or_unloaded__is_got_again(eventually):
    server = OllamaServer(on_disk={TAG}, hub={TAG})
    async with serving(server) as url, a_model(url) as model:
        await eventually(is_in(model, RunnerState.READY))
        server.in_memory.clear()
        await eventually(lambda: model.view().reason == "Unloaded")
        await eventually(is_in(model, RunnerState.READY))
        assert server.pulls == 0
        server.in_memory.clear()
        server.on_disk.clear()
        with pytest.raises(RunnerRefused, match=FAILED):
            await model.run_job(a_job())
        await eventually(lambda: model.view().reason == "ModelGone")
        await eventually(is_in(model, RunnerState.READY))
        assert server.pulls == 1


async def test_ollama__answer_fails_or_never_ends__is_a_500_in_ai_runners_words(eventually):
    server = OllamaServer(on_disk={TAG}, token="s3cret")
    async with serving(server) as url, a_model(url, token="s3cret", request_timeout_s=0.5) as model:
        await eventually(is_in(model, RunnerState.READY))
        server.chat_fails = "an error was encountered while running the model: unexpected EOF"
        with pytest.raises(RunnerRefused, match=FAILED):
            await model.run_job(a_job())
        server.chat_fails = ""
        server.hold.clear()
        with pytest.raises(RunnerRefused, match=FAILED):
            await model.run_job(a_job())
        await eventually(lambda: server.cancelled == 1)
        server.hold.set()
        assert (await model.run_job(a_job())).body["choices"][0]["message"]["content"] == "Paris."
        server.is_ill = True
        await eventually(lambda: model.view().reason == "NotAnswering")


async def test_ollama__not_an_ollama_server__says_so(eventually):
    async def shout(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n<html>..\n")
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1")
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, a_model(url) as model:
        await eventually(lambda: model.view().faulty)
        assert model.view().message == "no answer of an Ollama server: '<html>..\\n'"
