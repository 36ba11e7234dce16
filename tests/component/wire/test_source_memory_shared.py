"""Many slow large uploads: memory is bounded, and streams of usual size do not notice."""

import asyncio

import pytest

from tests.builders.wire import RecordingTranscoder, a_payment, credentials_for, work_headers

pytestmark = pytest.mark.component

LIMIT = 4_000_000
SOURCE = b"S" * 500_000
WAIT_S = 60


@pytest.fixture
async def node(serve):
    transcoder = RecordingTranscoder()
    orchestrator = await serve(transcoder=transcoder, max_sessions=50, source_bytes=LIMIT)
    orchestrator.transcoder = transcoder
    orchestrator.memory = orchestrator.server._source_memory
    return orchestrator


async def headers_of(node, source=SOURCE):
    return work_headers(credentials_for((await node.info()).auth_token, source, duration_ms=60_000), a_payment())


async def until(condition):
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.01)


def slowly(size, go_on):
    async def parts():
        for _ in range(size // 100_000):
            yield b"L" * 100_000
        await go_on.wait()
        yield b"L" * 100_000

    return parts()


async def test_uploads__slow_and_large__are_refused_as_busy_before_they_fill_the_memory(node):
    go_on, most = asyncio.Event(), 0
    headers = [await headers_of(node) for _ in range(6)]
    async with asyncio.TaskGroup() as tasks:
        uploads = [
            tasks.create_task(node.http.post(f"{node.uri}/segment", content=slowly(1_500_000, go_on), headers=each))
            for each in headers
        ]
        await until(lambda: node.memory.held > LIMIT - 1_500_000)
        for _ in range(50):
            most = max(most, node.memory.held)
            await asyncio.sleep(0.01)
        assert most <= LIMIT
        # A stream of usual size is served meanwhile: the largest that is still being read makes room.
        for _ in range(3):
            assert (await node.segment(SOURCE, await headers_of(node))).error is None
        go_on.set()
    answers = [task.result() for task in uploads]
    texts = {(answer.status_code, answer.text) for answer in answers}
    assert (400, "OrchestratorBusy\n") in texts
    await until(lambda: node.memory.held == 0)


async def test_upload__peer_hangs_up__its_bytes_are_given_back(node):
    go_on = asyncio.Event()
    upload = asyncio.create_task(
        node.http.post(f"{node.uri}/segment", content=slowly(1_000_000, go_on), headers=await headers_of(node))
    )
    await until(lambda: node.memory.held > 0)
    upload.cancel()
    await asyncio.wait([upload])
    await until(lambda: node.memory.held == 0)


async def test_segments__waiting_for_their_turn__are_counted_until_they_are_done(node):
    node.transcoder.gate.clear()
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(node.segment(SOURCE, await headers_of(node))) for _ in range(3)]
        await until(lambda: node.memory.held == 3 * len(SOURCE))
        await until(lambda: len(node.transcoder.jobs) == 3)
        node.transcoder.jobs.clear()
        node.transcoder.gate.set()
    assert all(task.result().error is None for task in waiting)
    await until(lambda: node.memory.held == 0)


async def test_session__ends_with_segments_waiting__their_bytes_are_given_back(node):
    node.transcoder.gate.clear()
    headers = await headers_of(node)
    sending = [asyncio.create_task(node.segment(SOURCE, headers)) for _ in range(3)]
    await until(lambda: node.memory.held == 3 * len(SOURCE))
    for task in sending:
        task.cancel()
    await asyncio.wait(sending)
    node.transcoder.jobs.clear()
    (session,) = node.server._sessions._open
    await node.server._sessions.end(session)
    await until(lambda: node.memory.held == 0)
