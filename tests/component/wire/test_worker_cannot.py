"""What a worker that has turned hostile, or whoever has its secret, cannot do to its orchestrator."""

import asyncio
import contextlib

import pytest

from livefleet.wire import Capabilities
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.translate import capabilities_to_proto
from tests.builders.wire import (
    ORCHESTRATOR,
    TRANSCODING_IDS,
    FreePayments,
    TabPayments,
    credentials_for,
    until,
    work_headers,
)

pytestmark = pytest.mark.component

SECRET = "test-only-secret"
SOURCE = b"S" * 5000
HUGE = 2**62


def results_headers(task_id):
    return {
        "Authorization": "Livepeer-Transcoder-1.0",
        "Credentials": SECRET,
        "TaskId": str(task_id),
        "Pixels": str(HUGE),
        "Content-Type": "multipart/mixed; boundary=bb",
    }


def parts(count, size=2000):
    head = f"--bb\r\nContent-Length: {size}\r\nContent-Type: video/mp2t\r\nPixels: {HUGE}\r\n\r\n".encode()
    one = head + b"x" * size + b"\r\n"
    return one * count + b"--bb--\r\n"


@contextlib.asynccontextmanager
async def hostile(orchestrator):
    """A joined stream in the test's own hands."""
    channel = await open_channel(parse_endpoint(orchestrator.uri), timeout_s=10)
    capabilities = capabilities_to_proto(Capabilities.of(TRANSCODING_IDS))
    call = channel.unary_stream(
        "/net.Transcoder/RegisterTranscoder",
        request_serializer=pb.RegisterRequest.SerializeToString,
        response_deserializer=pb.NotifySegment.FromString,
    )(pb.RegisterRequest(secret=SECRET, capacity=1, capabilities=capabilities))
    try:
        await until(lambda: orchestrator.server.snapshot().workers)
        yield call
    finally:
        call.cancel()
        await channel.close(None)


@pytest.mark.parametrize("path", ["segment", "payment", "refresh-payment", "text-to-image"])
async def test_join_secret__at_the_gateways_doors__is_worth_nothing(serve, path):
    payments = TabPayments()
    orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, worker_secret=SECRET)
    response = await orchestrator.http.post(f"{orchestrator.uri}/{path}", content=SOURCE, headers=results_headers(0))
    assert response.status_code >= 400
    assert (payments.debits, payments.tab) == ([], {})
    assert orchestrator.server.snapshot().sessions == 0


async def test_worker__brings_fewer_renditions_than_asked__nothing_is_charged(serve):
    payments = FreePayments()
    orchestrator = await serve(payments=payments, worker_secret=SECRET)
    async with hostile(orchestrator) as stream, asyncio.TaskGroup() as group:
        token = (await orchestrator.info()).auth_token
        headers = work_headers(credentials_for(token, SOURCE), signer=None)
        sent = group.create_task(orchestrator.segment(SOURCE, headers))
        task = await stream.read()
        await orchestrator.http.post(
            f"{orchestrator.uri}/transcodeResults", content=parts(1), headers=results_headers(task.taskId)
        )
        outcome = await sent
    assert outcome.error is not None
    assert payments.debits == []


async def test_worker__answers_tasks_that_nobody_gave__nothing_happens(serve):
    payments = FreePayments()
    orchestrator = await serve(payments=payments, worker_secret=SECRET)
    session = (await orchestrator.info()).auth_token.session
    async with hostile(orchestrator):
        for task_id in (0, 1, 4711, -1):
            response = await orchestrator.http.post(
                f"{orchestrator.uri}/transcodeResults", content=parts(2), headers=results_headers(task_id)
            )
            assert (response.status_code, response.text) == (200, "OK")
    now = orchestrator.server.snapshot()
    assert (payments.debits, now.segments_ok, now.segments_failed) == ([], 0, 0)
    assert (await orchestrator.http.get(f"{orchestrator.uri}/stream/{session}/P144p30fps16x9/0.ts")).status_code == 404
