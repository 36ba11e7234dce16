"""A runner's answers in the words that gateways know, from a server that says what it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from livefleet.ai.client import RunnerClient
from livefleet.ai.errors import RunnerHung, RunnerRefused
from livefleet.ai.jobs import AiJob
from livefleet.ai.runner_memory import RunnerMemory
from livefleet.ai.watch import RunnerHealth
from livefleet.spec import Pipeline
from tests.builders.ai import a_job

pytestmark = pytest.mark.component


@dataclass(frozen=True)
class Said:
    """One answer of the server."""

    status: int
    text: str = ""
    content_type: str = "application/json"

    def on_the_wire(self) -> bytes:
        body = self.text.encode()
        head = f"HTTP/1.1 {self.status} X\r\ncontent-type: {self.content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body


def says(status: int, value: Any) -> Said:
    return Said(status, json.dumps(value))


NOBODY, CUT, LATE = object(), object(), object()
"""No server; one that hangs up in the midst of its answer; one that says nothing."""


class Server:
    """Says the same to everybody, and remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.connections = 0
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                sizes = [line for line in head.lower().splitlines() if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(sizes[0].split(b":")[1]) if sizes else 0)
                self.asked.append(head + body)
                if self._answer is LATE:
                    await asyncio.sleep(60)
                if self._answer is CUT:
                    writer.write(Said(200, "x" * 100).on_the_wire()[:-50])
                    return
                writer.write(self._answer.on_the_wire())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def a_client(
    folder: Path, answer: Any, *, limit_s: float = 9, pipeline: Pipeline = Pipeline.TEXT_TO_IMAGE
) -> AsyncIterator[tuple[RunnerClient, Server]]:
    server, socket = Server(answer), folder / "runner.sock"
    listening = None if answer is NOBODY else await asyncio.start_unix_server(server.serve, socket)
    try:
        async with RunnerClient(socket, pipeline, health_timeout_s=limit_s, request_limit_s=limit_s) as client:
            yield client, server
    finally:
        if listening is not None:
            listening.close()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            says(400, {"detail": {"msg": "Prompt must be provided."}}),
            "returned 400: Prompt must be provided.",
        ),
        (says(500, {"detail": {"msg": "Out of memory."}}), "returned 500: Out of memory."),
        (says(422, {"detail": [{"loc": ["body"]}]}), 'returned 422: {"detail":[{"loc":["body"]}]}'),
        (says(400, {"detail": "text"}), 'returned 400: {"detail":"text"}'),
        (says(401, {"detail": {"msg": "Invalid bearer token."}}), "returned 401: Invalid bearer token."),
        (says(413, {"detail": {"msg": "x"}}), "returned 413: file too large; max file size is 50MB"),
        (Said(413, "x"), "returned 413: file too large; max file size is 50MB"),
        (
            says(415, {"detail": {"msg": "Unsupported audio format or malformed file."}}),
            "returned 415: Unsupported audio format or malformed file.",
        ),
        (Said(500, "[" * 100_000), "returned 500 without a reason"),
        (Said(502, "Bad Gateway"), "returned 502 without a reason"),
        (Said(200, "nonsense"), "sent no result"),
        (CUT, "went away during the request"),
        (NOBODY, "went away during the request"),
    ],
)
async def test_client__runner_fails__is_wrapped(tmp_path, answer: Any, text: str):
    async with a_client(tmp_path, answer, limit_s=0.2 if answer is LATE else 9) as (client, _):
        with pytest.raises(RunnerRefused) as refused:
            await client.run(a_job())
    assert refused.value.text.startswith(f"text-to-image container {text}")
    assert refused.value.status == 500


async def test_client__no_answer_in_time__is_hung(tmp_path):
    async with a_client(tmp_path, LATE, limit_s=0.2) as (client, _):
        with pytest.raises(RunnerHung):
            await client.run(a_job())


@pytest.mark.parametrize(
    ("answer", "health"),
    [
        (says(200, {"status": "OK"}), RunnerHealth.OK),
        (says(200, {"status": "LOADING"}), RunnerHealth.LOADING),
        (says(200, {"status": "WEIRD"}), RunnerHealth.SILENT),
        (Said(200, "hello"), RunnerHealth.SILENT),
        (says(500, {"detail": {"msg": "x"}}), RunnerHealth.SILENT),
        (Said(302, "{}"), RunnerHealth.SILENT),
        (NOBODY, RunnerHealth.SILENT),
        (CUT, RunnerHealth.SILENT),
        (LATE, RunnerHealth.LATE),
    ],
)
async def test_health__any_answer__has_a_meaning(tmp_path, answer: Any, health: RunnerHealth):
    async with a_client(tmp_path, answer, limit_s=0.2 if answer is LATE else 9) as (client, _):
        assert await client.health() is health


@pytest.mark.parametrize(
    ("answer", "memory"),
    [
        (says(200, {"loaded": 5, "peak": 7}), RunnerMemory(5, 7)),
        # ai-runner's containers know no such path.
        (says(404, {"detail": "Not Found"}), None),
        (says(200, {"loaded": "much"}), None),
        (NOBODY, None),
    ],
)
async def test_memory__any_answer__has_a_meaning(tmp_path, answer: Any, memory: RunnerMemory | None):
    async with a_client(tmp_path, answer, limit_s=0.2 if answer is LATE else 9) as (client, _):
        assert await client.memory() == memory


@pytest.mark.parametrize(
    ("answer", "gpus"),
    [
        (says(200, {"gpu_info": {"0": {"id": "GPU-1"}}}), {"0": {"id": "GPU-1"}}),
        (says(200, {"gpu_info": None}), {}),
        (Said(500), {}),
        (LATE, {}),
    ],
)
async def test_gpu_info__any_answer__has_a_meaning(tmp_path, answer: Any, gpus: dict):
    async with a_client(tmp_path, answer, limit_s=0.2 if answer is LATE else 9) as (client, _):
        assert await client.gpu_info() == gpus


EVENTS = "text/event-stream"


async def taken(folder: Path, answer: Any) -> list:
    async with a_client(folder, answer) as (client, _):
        return [chunk async for chunk in client.stream(a_job())]


async def test_stream__to_its_end__is_the_chunks_alone(tmp_path):
    text = 'data: {"choices":[1]}\n\n: keep alive\n\nevent: x\ndata:{"choices":[2]}\n\ndata: [DONE]\n\n'
    assert await taken(tmp_path, Said(200, text, EVENTS)) == [{"choices": [1]}, {"choices": [2]}]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (says(500, {"detail": {"msg": "x"}}), "unexpected status code: 500"),
        (Said(413), "unexpected status code: 413"),
        (Said(200, 'data: {"error":"bad luck"}\n\n', EVENTS), "container failed: bad luck"),
        (
            says(400, {"detail": {"msg": "too long"}}),
            "text-to-image container returned 400: too long",
        ),
        (Said(200, "data: {\n\n", EVENTS), "container sent a broken chunk"),
        (CUT, "container went away during the request"),
    ],
)
async def test_stream__runner_fails__is_wrapped(tmp_path, answer: Any, text: str):
    with pytest.raises(RunnerRefused, match=text):
        await taken(tmp_path, answer)


async def test_stream__line_longer_than_a_read__is_one_chunk(tmp_path):
    text = f"data: {json.dumps({'choices': ['x' * 1_000_000]})}\n\n"
    [chunk] = await taken(tmp_path, Said(200, text, EVENTS))
    assert len(chunk["choices"][0]) == 1_000_000


async def test_run__again__asks_on_the_same_connection(tmp_path):
    async with a_client(tmp_path, says(400, {"detail": {"msg": "no"}})) as (client, server):
        for _ in range(3):
            with pytest.raises(RunnerRefused):
                await client.run(a_job())
    assert (server.connections, len(server.asked)) == (1, 3)


async def test_run__two_megabytes_of_upload_and_of_text__arrive_whole(tmp_path):
    upload, text = b"\x00\xff" * 1_000_000, "ä" * 1_000_000
    refusal = says(400, {"detail": {"msg": "no"}})
    job = AiJob(Pipeline.IMAGE_TO_TEXT, "a/b", {"prompt": "what?"}, upload=upload, units=1)
    async with a_client(tmp_path, refusal, pipeline=Pipeline.IMAGE_TO_TEXT) as (client, server):
        with pytest.raises(RunnerRefused):
            await client.run(job)
    [sent] = server.asked
    assert upload in sent
    async with a_client(tmp_path, refusal) as (client, server):
        with pytest.raises(RunnerRefused):
            await client.run(AiJob(Pipeline.TEXT_TO_IMAGE, "a/b", {"prompt": text}, units=1))
    [sent] = server.asked
    assert text.encode() in sent
