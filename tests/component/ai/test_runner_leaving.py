"""Clients that leave a runner, and bodies without end, over real connections."""

import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from livefleet.ai.errors import Cancelled, DeadlinePassed
from livefleet.ai.jobs import AiResult
from livefleet.ai.runner_api import RunnerApi
from livefleet.ai.stop import Stop
from livefleet.hardware import HardwareSnapshot
from livefleet.spec import Pipeline
from tests.builders.ai import runner_settings
from tests.builders.ai_kinds import TextFields, TextKind
from tests.builders.ai_runner import serving_app

pytestmark = pytest.mark.component


class Tireless:
    """Goes on until it is told to stop, and remembers why it did."""

    def __init__(self) -> None:
        self.steps = 0
        self.begun = threading.Event()
        self.ended: list[str] = []

    def run(self, fields: TextFields, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        if fields.prompt == "quick":
            return AiResult({"text": "done"})
        for _ in self._work(stop):
            pass
        raise AssertionError

    def stream(self, fields: TextFields, stop: Stop) -> Iterator[dict[str, Any]]:
        for step in self._work(stop):
            yield {"choices": [step]}

    def _work(self, stop: Stop) -> Iterator[int]:
        pause = threading.Event()
        try:
            while True:
                stop.check()
                self.steps += 1
                yield self.steps
                self.begun.set()
                pause.wait(0.005)
        except (Cancelled, DeadlinePassed) as error:
            self.ended.append(type(error).__name__)
            raise


@asynccontextmanager
async def a_runner(model: Tireless, *, request_timeout_s: float = 60) -> AsyncIterator[httpx.AsyncClient]:
    settings = runner_settings(pipeline=Pipeline.LLM, request_timeout_s=request_timeout_s)
    with ThreadPoolExecutor(1) as threads:
        look = HardwareSnapshot(0, None, None, ())
        api = RunnerApi(settings, TextKind(), threads, random.Random(1), lambda: look)
        api.loaded(model)
        async with serving_app(api.app()) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
            yield http


async def the_one_thread_is_free(http: httpx.AsyncClient) -> None:
    assert (await http.post("/llm", json={"prompt": "quick"})).json() == {"text": "done"}


async def test_job__client_leaves__stops_at_the_next_step():
    model = Tireless()
    async with a_runner(model) as http:
        asked = asyncio.ensure_future(http.post("/llm", json={"prompt": "long"}))
        assert await asyncio.to_thread(model.begun.wait, 20)
        asked.cancel()
        await the_one_thread_is_free(http)
        assert model.ended == ["Cancelled"]


async def test_stream__client_leaves__stops_at_the_next_step():
    model = Tireless()
    async with a_runner(model) as http:
        async with http.stream("POST", "/llm", json={"stream": True}) as reply:
            lines = reply.aiter_lines()
            assert json.loads((await anext(lines)).removeprefix("data: ")) == {"choices": [1]}
        await the_one_thread_is_free(http)
        assert model.ended == ["Cancelled"]
        steps = model.steps
        await the_one_thread_is_free(http)
        assert model.steps == steps


async def test_stream__client_leaves_before_the_first_chunk__stops_too():
    model = Tireless()
    started = threading.Event()

    def slow(fields: TextFields, stop: Stop) -> Iterator[dict[str, Any]]:
        for step in model._work(stop):
            started.set()
            if step < 0:
                yield {}

    model.stream = slow
    async with a_runner(model) as http:
        asked = asyncio.ensure_future(http.post("/llm", json={"stream": True}))
        assert await asyncio.to_thread(started.wait, 20)
        asked.cancel()
        await the_one_thread_is_free(http)
        assert model.ended == ["Cancelled"]


async def test_stream__past_its_time__ends_with_the_reason():
    model = Tireless()
    async with a_runner(model, request_timeout_s=0.2) as http:
        reply = await http.post("/llm", json={"stream": True})
        assert reply.text.endswith('data: {"error":"Request took too long."}\n\n')
        assert model.ended == ["DeadlinePassed"]


async def counted(pieces: list[int], most: int) -> AsyncIterator[bytes]:
    for _ in range(most):
        pieces[0] += 1
        yield b"x" * 1_000_000


async def test_body__somewhat_too_long__is_refused_and_the_connection_stays():
    async with a_runner(Tireless()) as http:
        reply = await http.post("/llm", content=counted([0], 30))
        assert (reply.status_code, reply.json()) == (413, {"detail": {"msg": "body of more than 1000000 bytes"}})
        assert "connection" not in reply.headers
        await the_one_thread_is_free(http)


async def test_body__without_end__is_cut_off():
    sent = [0]
    async with a_runner(Tireless()) as http:
        with pytest.raises(httpx.TransportError):
            await http.post("/llm", content=counted(sent, 2000))
        await the_one_thread_is_free(http)
    assert sent[0] < 100
