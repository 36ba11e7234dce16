"""Connections between the agent and a runner of its own: kept, and none that died fails a request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from livefleet.ai import RunnerRefused
from livefleet.ai.client import RunnerClient
from livefleet.ai.jobs import AiResult
from livefleet.ai.result_frames import CONTENT_TYPE, as_frames
from livefleet.ai.watch import RunnerHealth
from livefleet.spec import Pipeline
from tests.builders.ai import a_job, images

pytestmark = pytest.mark.component

RESULT = images(b"png", first_seed=3)


class Server:
    """A runner's end of a socket, by hand: what it does after an answer is the case."""

    def __init__(self, *, closes: bool = False, answers: int = 10**6) -> None:
        self.connections = 0
        self._closes = closes
        self._answers = answers

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in request.split(b"\r\n") if line.lower().startswith(b"content-length:")),
                    0,
                )
                await reader.readexactly(length)
                if self._answers == 0:
                    break  # as one that is killed
                self._answers -= 1
                job = request.startswith(b"POST")
                body, kind = (
                    (b"".join(as_frames(RESULT)), CONTENT_TYPE) if job else (b'{"status":"OK"}', "application/json")
                )
                head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
                if self._closes:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def a_client(server: Server, socket: Path) -> AsyncIterator[RunnerClient]:
    listener = await asyncio.start_unix_server(server.talk, socket)
    async with (
        listener,
        RunnerClient(socket, Pipeline.TEXT_TO_IMAGE, health_timeout_s=5, request_limit_s=5) as client,
    ):
        yield client


async def test_client__several_calls__share_one_connection(tmp_path: Path):
    server = Server()
    async with a_client(server, tmp_path / "s") as client:
        for _ in range(3):
            assert await client.health() is RunnerHealth.OK
            assert await client.run(a_job()) == RESULT
    assert server.connections == 1


async def test_client__kept_connection_died__next_call_has_its_own(tmp_path: Path):
    server = Server(closes=True)
    async with a_client(server, tmp_path / "s") as client:
        for call in range(1, 4):
            result: AiResult = await client.run(a_job())
            assert result == RESULT
            assert server.connections == call
            await asyncio.sleep(0.05)  # the end of the connection is on its way


async def test_client__runner_dies_under_a_job_on_a_kept_connection__is_told_once(tmp_path: Path):
    server = Server(answers=1)
    async with a_client(server, tmp_path / "s") as client:
        assert await client.health() is RunnerHealth.OK
        # Not asked again: the job may be what killed it.
        with pytest.raises(RunnerRefused, match="container went away during the request"):
            await client.run(a_job())
    assert server.connections == 1


async def test_client__many_at_once__have_a_connection_each(tmp_path: Path):
    server = Server()
    async with a_client(server, tmp_path / "s") as client:
        results = await asyncio.gather(*(client.run(a_job()) for _ in range(40)))
    assert results == [RESULT] * 40
