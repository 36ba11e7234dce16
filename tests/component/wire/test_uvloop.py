"""The agent runs on uvloop; asyncio's own loop serves the other tests."""

import contextlib
import os
import signal

import pytest
import uvloop

from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.spec import OrchestratorSettings
from livefleet.wire.server import OrchestratorServer
from livefleet.wire.worker import Worker
from tests.builders.wire import (
    AUTH_SECRET,
    FreePayments,
    RecordingTranscoder,
    a_rng,
    credentials_for,
    free_port,
    until,
    work_headers,
)
from tests.component.wire.conftest import Orchestrator

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000


def test_uvloop__worker_does_a_segment_and_nginx_is_kept_up(run_dir):
    uvloop.run(_story(run_dir))


async def _story(run_dir):
    import httpx

    uri = f"https://127.0.0.1:{free_port()}"
    board, clock = ConditionBoard(SystemClock()), SystemClock()
    server = OrchestratorServer(
        OrchestratorSettings(service_uri=uri, listen=uri.removeprefix("https://")),
        payments=FreePayments(),
        signer=None,
        auth_secret=AUTH_SECRET,
        state_dir=run_dir / "state",
        run_dir=run_dir / "run",
        board=board,
        clock=clock,
        rng=a_rng(),
        worker_secret="test-only",
        drain_s=5,
    )
    worker = Worker(
        orchestrator=uri.removeprefix("https://"),
        secret="test-only",
        capacity=1,
        transcoder=RecordingTranscoder(),
        board=ConditionBoard(clock),
        rng=a_rng(),
    )
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(server)
        await stack.enter_async_context(worker)
        http = await stack.enter_async_context(httpx.AsyncClient(verify=False, timeout=30))
        orchestrator = Orchestrator(server, uri, http, board, run_dir)
        await until(lambda: server.snapshot().workers)
        token = (await orchestrator.info()).auth_token
        headers = work_headers(credentials_for(token, SOURCE), signer=None)
        assert (await orchestrator.segment(SOURCE, headers)).error is None
        os.kill(server.snapshot().nginx_pid, signal.SIGKILL)
        await until(lambda: server.snapshot().front_door_restarts == 1)
        await until(lambda: server.snapshot().front_door_open)
        await until(lambda: server.snapshot().workers)  # the worker found its way back
        assert (await orchestrator.info()).auth_token is not None
