"""A full node and the token of a running stream: it gets a new one and goes on; nobody gets more than that."""

import time
from dataclasses import replace

import grpc
import pytest

from livefleet.kernel import ConditionBoard, Intake, SystemClock
from livefleet.media import CPU, LocalTranscoder
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, SegmentReport, StreamClient
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.signing import request_message
from livefleet.wire.translate import auth_token_to_proto
from tests.builders.clock import HandClock
from tests.builders.gateways import PROFILES, a_stream, send
from tests.builders.payments import a_desk
from tests.builders.wire import (
    GATEWAY,
    ORCHESTRATOR,
    RecordingTranscoder,
    TabPayments,
    a_payment,
    credentials_for,
    work_headers,
)

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000
CAPPED = "Invalid orchestrator request: OrchestratorCapped"
ALMOST_OVER_S = 1800 - 180


@pytest.fixture
def clock():
    return HandClock(time.time())  # certificates are dated by it


@pytest.fixture(params=["sessions", "devices"])
async def full(request, serve, clock):
    """One place, by the number of sessions or by the room of the devices, and a stream in it."""
    transcoder = RecordingTranscoder(room=1 if request.param == "devices" else None)
    payments = TabPayments()
    orchestrator = await serve(
        payments=payments,
        signer=ORCHESTRATOR,
        transcoder=transcoder,
        max_sessions=1 if request.param == "sessions" else 10,
        clock=clock,
    )
    orchestrator.transcoder, orchestrator.payments = transcoder, payments
    orchestrator.tokens = [(await orchestrator.info()).auth_token for _ in range(2)]
    assert (await work(orchestrator, orchestrator.tokens[0])).status_code == 200
    return orchestrator


async def work(orchestrator, token, sequence=7, *, signer=GATEWAY, **credentials):
    headers = work_headers(
        credentials_for(token, SOURCE, sequence=sequence, **credentials),
        a_payment(sender=signer.address),
        signer=signer,
    )
    return await orchestrator.http.post(f"{orchestrator.uri}/segment", content=SOURCE, headers=headers)


async def discovery_is_capped(orchestrator):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await orchestrator.info()
    return caught.value.details() == CAPPED


def is_capped(response):
    return (response.status_code, response.text) == (403, "OrchestratorCapped\n")


async def test_full_node__stream_far_from_its_tokens_end__hears_nothing(full):
    assert await discovery_is_capped(full)
    assert is_capped(await work(full, full.tokens[1], 8))


async def test_full_node__stream_near_its_tokens_end__goes_on_under_a_new_one(full, clock):
    clock.time += ALMOST_OVER_S
    new = (await full.info()).auth_token
    response = await work(full, new, 8)
    assert response.status_code == 200
    result = pb.TranscodeResult.FromString(response.content)
    assert result.info.auth_token.session_id == new.session
    for segment in result.data.segments:
        assert (await full.http.get(segment.url)).status_code == 200
    assert [job.session for job in full.transcoder.jobs] == [full.tokens[0].session] * 2
    assert full.server.snapshot().sessions == 1
    assert full.transcoder.opened == {full.tokens[0].session}
    assert [s for s, _ in full.payments.debits] == [full.tokens[0].session, new.session]


async def test_full_node__segment_still_under_way_with_the_old_token__is_finished(full, clock):
    clock.time += ALMOST_OVER_S
    new = (await full.info()).auth_token
    assert (await work(full, new, 8)).status_code == 200
    assert (await work(full, full.tokens[0], 9)).status_code == 200


async def test_full_node__refreshed_once__no_second_place_and_no_second_new_token(full, clock):
    clock.time += ALMOST_OVER_S
    first, second = [(await full.info()).auth_token for _ in range(2)]
    assert (await work(full, first, 8)).status_code == 200
    assert is_capped(await work(full, second, 9))
    assert await discovery_is_capped(full)
    assert full.server.snapshot().sessions == 1


async def test_full_node__sender_of_a_running_stream__gets_no_second_stream(full, clock):
    clock.time += ALMOST_OVER_S
    new = (await full.info()).auth_token
    assert is_capped(await work(full, new, manifest_id=b"another"))


async def test_full_node__another_sender__finds_it_full(full, clock):
    clock.time += ALMOST_OVER_S
    stolen = (await full.info()).auth_token
    assert is_capped(await work(full, stolen, signer=ORCHESTRATOR))
    raw = bytes.fromhex(ORCHESTRATOR.address[2:])
    other = replace(full.signed(), address=raw, signature=ORCHESTRATOR.sign_message(request_message(raw)))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await full.info(other)
    assert caught.value.details() == CAPPED


async def test_full_node__new_token_ends_the_stream__place_is_free(full, clock):
    clock.time += ALMOST_OVER_S
    new = (await full.info()).auth_token
    assert (await work(full, new, 8)).status_code == 200
    request = pb.EndTranscodingSessionRequest(auth_token=auth_token_to_proto(new))
    await full.call("EndTranscodingSession", request, pb.EndTranscodingSessionResponse)
    assert full.server.snapshot().sessions == 0
    assert full.transcoder.ended == [full.tokens[0].session]
    assert (await full.info()).auth_token is not None


async def test_draining_node__lets_streams_run__goes_on_under_a_new_token(full, clock):
    full.server._sessions.intake = Intake.RUNNING
    clock.time += ALMOST_OVER_S
    new = (await full.info()).auth_token
    assert (await work(full, new, 8)).status_code == 200
    assert full.server.snapshot().sessions == 1


async def test_full_node__draining__gives_no_token_either(full, clock):
    clock.time += ALMOST_OVER_S
    await full.server._sessions.drain()
    assert await discovery_is_capped(full)


async def test_full_node__off_chain__nobody_is_known(serve, clock):
    orchestrator = await serve(transcoder=RecordingTranscoder(), max_sessions=1, clock=clock)
    token = (await orchestrator.info()).auth_token
    await orchestrator.segment(SOURCE, work_headers(credentials_for(token, SOURCE), signer=None))
    clock.time += ALMOST_OVER_S
    assert await discovery_is_capped(orchestrator)


async def test_room_left__new_token__is_a_session_of_its_own(serve, clock):
    orchestrator = await serve(
        payments=TabPayments(), signer=ORCHESTRATOR, transcoder=RecordingTranscoder(), clock=clock
    )
    first = (await orchestrator.info()).auth_token
    assert (await work(orchestrator, first)).status_code == 200
    clock.time += ALMOST_OVER_S
    second = (await orchestrator.info()).auth_token
    assert (await work(orchestrator, second, 8)).status_code == 200
    assert orchestrator.server.snapshot().sessions == 2


@pytest.mark.timeout(180)
async def test_real_stream__outlives_three_tokens_on_a_full_node(serve, clock, tmp_path, run_dir):
    """Real tickets, real transcoding, a paying gateway that follows its token's age."""
    segments, source = a_stream(4)
    board = ConditionBoard(SystemClock())
    async with (
        a_desk(tmp_path / "store.sqlite3", clock=clock) as (payments, *_),
        LocalTranscoder(
            [CPU], run_dir=run_dir / "media", board=board, clock=SystemClock(), max_sessions=1, max_load=50.0
        ) as transcoder,
    ):
        orchestrator = await serve(
            payments=payments, signer=ORCHESTRATOR, transcoder=transcoder, max_sessions=1, clock=clock
        )
        client = StreamClient(
            parse_endpoint(orchestrator.uri), Payer(GATEWAY), PROFILES[:1], manifest_id="live", now=clock.now
        )
        outcomes, tokens = [], set()
        async with client:
            for segment in segments:
                outcomes += await send(client, [segment], source)
                tokens.add(client.info.auth_token.session_id)
                assert orchestrator.server.snapshot().sessions == transcoder.sessions == 1
                clock.time += 1700
            report = client.report(outcomes)
        assert all(isinstance(outcome, SegmentReport) for outcome in outcomes), outcomes
        assert (report.ok, report.retries, len(tokens)) == (True, 0, 4)
        assert orchestrator.server.snapshot().sessions == 0


async def test_withheld_node__only_a_stream_near_its_tokens_end_hears_of_it(serve, clock):
    orchestrator = await serve(
        payments=TabPayments(), signer=ORCHESTRATOR, transcoder=RecordingTranscoder(), clock=clock
    )
    token = (await orchestrator.info()).auth_token
    assert (await work(orchestrator, token)).status_code == 200
    orchestrator.server.offer_to(ORCHESTRATOR.address)
    assert await discovery_is_capped(orchestrator)
    assert (await work(orchestrator, token, 8)).status_code == 200
    clock.time += ALMOST_OVER_S
    new = (await orchestrator.info()).auth_token
    assert (await work(orchestrator, new, 9)).status_code == 200
