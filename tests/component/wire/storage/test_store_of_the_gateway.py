"""Segments whose results a gateway wants in an object store of its own."""

import asyncio
import contextlib

import httpx
import pytest

from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.storage import Uploader
from livefleet.wire.translate import auth_token_to_proto
from tests.builders.object_store import BUCKET, a_stock_grant
from tests.builders.wire import (
    GATEWAY,
    ORCHESTRATOR,
    RecordingTranscoder,
    TabPayments,
    a_payment,
    credentials_for,
    made_of,
    until,
    work_headers,
)

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000
LOOPBACK = ("127.0.0.0/8",)
PIXELS = (426 * 240 + 256 * 144) * 60
URI = {"Content-Type": "application/vnd+livepeer.uri"}


class Hung:
    """A store that takes connections and never answers."""

    def __init__(self):
        self.connections = 0
        self._released = asyncio.Event()
        self._handlers = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.host = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/bucket"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self._released.set()
        await asyncio.gather(*self._handlers)

    async def _serve(self, reader, writer):
        self.connections += 1
        self._handlers.append(asyncio.current_task())
        await self._released.wait()
        with contextlib.suppress(OSError):
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def hung():
    async with Hung() as store:
        yield store


@pytest.fixture
async def outside():
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def payments():
    return TabPayments()


@pytest.fixture
async def paid(serve, payments):
    return await serve(transcoder=RecordingTranscoder(), payments=payments, signer=ORCHESTRATOR, peer_networks=LOOPBACK)


async def send(orchestrator, token, store, *, sequence=7):
    credentials = credentials_for(token, SOURCE, sequence=sequence, storage=store)
    return await orchestrator.segment(SOURCE, work_headers(credentials, a_payment()))


def assert_whole_and_here(orchestrator, outcome, payments):
    assert outcome.error is None
    assert all(r.url.startswith(f"{orchestrator.uri}/stream/") for r in outcome.renditions)
    assert sum(r.pixels for r in outcome.renditions) == PIXELS
    assert [pixels for _, pixels in payments.debits] == [PIXELS]


async def test_segment__results_are_uploaded_by_the_gateways_policy(paid, payments, s3, outside):
    token = (await paid.info()).auth_token
    grant = a_stock_grant(s3, f"mymanifest/{token.session}")
    outcome = await send(paid, token, grant)
    profiles = credentials_for(token, SOURCE).profiles
    urls = [r.url for r in outcome.renditions]
    assert urls == [f"{s3.endpoint}/{BUCKET}/mymanifest/{token.session}/{profile.name}/7.ts" for profile in profiles]
    found = [await outside.get(url) for url in urls]
    assert [f.content for f in found] == [made_of(profile, SOURCE) for profile in profiles]
    assert {f.headers["content-type"] for f in found} == {"video/mp2t"}
    assert outcome.signature
    assert payments.debits == [(token.session, PIXELS)]
    here = await paid.http.get(f"{paid.uri}/stream/{token.session}/{profiles[0].name}/7.ts")
    assert here.status_code == 404


@pytest.mark.parametrize(
    "changes", [{"signature": "0" * 64}, {"key": "elsewhere"}, {"policy": "bm9uc2Vuc2U="}], ids=lambda c: next(iter(c))
)
async def test_segment__store_refuses__results_lie_here_and_are_charged_in_full(paid, payments, s3, changes):
    token = (await paid.info()).auth_token
    outcome = await send(paid, token, a_stock_grant(s3, "mymanifest", **changes))
    assert_whole_and_here(paid, outcome, payments)
    content = [(await paid.http.get(r.url)).content for r in outcome.renditions]
    assert content == [made_of(profile, SOURCE) for profile in credentials_for(token, SOURCE).profiles]
    assert paid.server.snapshot().files_not_uploaded == 2
    assert paid.server.snapshot().files_uploaded == 0


async def test_segment__store_in_a_private_network__is_not_connected_to(serve, payments, s3, hung):
    orchestrator = await serve(transcoder=RecordingTranscoder(), payments=payments, signer=ORCHESTRATOR)
    token = (await orchestrator.info()).auth_token
    outcome = await send(orchestrator, token, a_stock_grant(s3, "m", host=hung.host))
    assert_whole_and_here(orchestrator, outcome, payments)
    assert hung.connections == 0


async def test_segment__source_url_of_a_private_network__is_not_fetched(serve, hung):
    orchestrator = await serve(transcoder=RecordingTranscoder())
    token = (await orchestrator.info()).auth_token
    headers = work_headers(credentials_for(token, SOURCE), signer=None) | URI
    for host in (hung.host, hung.host.replace("127.0.0.1", "localhost"), "http://169.254.169.254/latest/meta-data"):
        answer = await orchestrator.http.post(f"{orchestrator.uri}/segment", content=host.encode(), headers=headers)
        assert (answer.status_code, answer.text) == (400, "BadRequest\n")
    assert hung.connections == 0


async def test_segment__store_hangs__is_charged_at_once_and_the_next_does_not_wait(paid, payments, s3, hung):
    token = (await paid.info()).auth_token
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(send(paid, token, a_stock_grant(s3, "m", host=hung.host), sequence=7))
        await until(lambda: payments.debits and hung.connections)
        assert not slow.done()
        following = await send(paid, token, None, sequence=8)
        assert following.error is None
        assert not slow.done()
    outcome = slow.result()
    assert outcome.error is None
    assert (await paid.http.get(outcome.renditions[0].url)).status_code == 200
    assert payments.debits == [(token.session, PIXELS)] * 2
    assert payments.tab[(GATEWAY.address, token.session)] == 2 * 10**18 - 2 * PIXELS * payments.price


async def test_session_end__while_a_store_hangs__leaves_the_results_here_for_a_while(paid, payments, s3, hung):
    token = (await paid.info()).auth_token
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(send(paid, token, a_stock_grant(s3, "m", host=hung.host)))
        await until(lambda: payments.debits and hung.connections)
        request = pb.EndTranscodingSessionRequest(auth_token=auth_token_to_proto(token))
        await paid.call("EndTranscodingSession", request, pb.EndTranscodingSessionResponse)
        await until(lambda: paid.server.snapshot().sessions == 0)
    assert_whole_and_here(paid, slow.result(), payments)
    assert (await paid.http.get(slow.result().renditions[0].url)).status_code == 200


async def test_segment__many_results_wait_for_a_slow_store__the_rest_lie_here_at_once(paid, s3, hung):
    token = (await paid.info()).auth_token
    grant = a_stock_grant(s3, "m", host=hung.host)
    async with asyncio.TaskGroup() as group:
        waiting = []
        for sequence in range(5):
            waiting.append(group.create_task(send(paid, token, grant, sequence=sequence)))
            await until(lambda wanted=2 * (sequence + 1): hung.connections == wanted)
        sixth = await send(paid, token, grant, sequence=9)
        assert sixth.renditions[0].url.startswith(f"{paid.uri}/stream/")
        assert not any(task.done() for task in waiting)
        assert hung.connections == 10


async def test_segment__source_in_the_gateways_store__is_fetched_and_results_go_beside_it(paid, s3, outside):
    token = (await paid.info()).auth_token
    grant = a_stock_grant(s3, f"uri/{token.session}")
    url = await Uploader(outside).upload(grant, "source/7.ts", SOURCE, "video/mp2t", timeout_s=20)
    credentials = credentials_for(token, SOURCE, storage=grant)
    outcome = await paid.segment(url.encode(), work_headers(credentials, a_payment()) | URI)
    assert outcome.error is None
    assert all(grant.holds(r.url) for r in outcome.renditions)


async def test_segment__job_needs_object_storage__is_compatible(paid, s3):
    token = (await paid.info()).auth_token
    assert {4, 5, 6} <= (await paid.info()).capabilities.ids
    needs = (await paid.info()).capabilities.of({0, 1, 5, 12})
    credentials = credentials_for(token, SOURCE, storage=a_stock_grant(s3, "caps"), capabilities=needs)
    outcome = await paid.segment(SOURCE, work_headers(credentials, a_payment()))
    assert outcome.error is None
