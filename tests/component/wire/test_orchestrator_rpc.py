import time
from dataclasses import replace

import grpc
import pytest

from livefleet.chain import verify
from livefleet.kernel import Refused, Transient
from livefleet.wire import AuthToken, Capabilities, Capability, ModelConstraint, OrchestratorRequest
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.signing import ping_message
from livefleet.wire.translate import auth_token_to_proto
from tests.builders.wire import (
    ORCHESTRATOR,
    RecordingTranscoder,
    TabPayments,
    credentials_for,
    ticket_params,
    until,
    work_headers,
)

pytestmark = pytest.mark.component


def a_chain():
    return {"payments": TabPayments(), "signer": ORCHESTRATOR, "transcoder": RecordingTranscoder()}


async def refused(call, text):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNKNOWN, text)


async def test_get_orchestrator__plain_request__tells_all(serve):
    orchestrator = await serve(**a_chain())
    info = await orchestrator.info()
    assert info.transcoder == orchestrator.uri
    assert info.address == bytes.fromhex(ORCHESTRATOR.address[2:])
    assert info.ticket_params == ticket_params()
    assert info.nodes == ("https://other:1",)
    assert [(p.capability, p.model_id, p.price) for p in info.capability_prices] == [(27, "tiny", 7)]
    assert info.auth_token is not None
    assert len(info.auth_token.session) == 8
    assert abs(info.auth_token.expiration - time.time() - 1800) < 60
    assert info.capabilities is not None
    assert info.capabilities.ids == RecordingTranscoder().capability_ids
    assert info.capabilities.version == "0.9.1"
    assert info.capabilities.mandatories == ()


async def test_get_orchestrator__with_capabilities__is_priced_by_model(serve):
    chain = a_chain()
    orchestrator = await serve(**chain)
    wanted = Capabilities.of({}, models={Capability.TEXT_TO_IMAGE: {"tiny": ModelConstraint()}})
    plain = await orchestrator.info()
    info = await orchestrator.info(orchestrator.signed(wanted))
    assert chain["payments"].quoted[-1] == (None, (("text-to-image", "tiny"),))
    assert info.capability_prices == ()
    assert info.auth_token is not None
    assert plain.auth_token is not None
    assert info.auth_token.session != plain.auth_token.session


async def test_get_orchestrator__signed_by_another__is_refused(serve):
    orchestrator = await serve(**a_chain())
    request = replace(orchestrator.signed(), address=bytes.fromhex(ORCHESTRATOR.address[2:]))
    await refused(orchestrator.info(request), "Invalid orchestrator request: orchestrator req sig check failed")


async def test_get_orchestrator__empty_on_chain__is_refused(serve):
    orchestrator = await serve(**a_chain())
    await refused(
        orchestrator.info(OrchestratorRequest()),
        "Invalid orchestrator request: orchestrator req sig check failed",
    )


async def test_get_orchestrator__offchain__needs_no_name(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder())
    info = await orchestrator.info(OrchestratorRequest(ignore_capacity_check=True))
    assert (info.price, info.ticket_params) == (None, None)
    assert info.auth_token is not None


async def test_get_orchestrator__our_own_trouble__stays_ours(serve):
    chain = a_chain()
    chain["payments"].quote_error = Transient("no JSON-RPC endpoint answers: https://endpoint.example/key")
    orchestrator = await serve(**chain)
    await refused(orchestrator.info(), "Internal Server Error")


async def test_get_orchestrator__poor_sender__hears_why(serve):
    chain = a_chain()
    chain["payments"].quote_error = Refused("insufficient sender reserve")
    orchestrator = await serve(**chain)
    await refused(orchestrator.info(), "insufficient sender reserve")


async def test_get_orchestrator__full__is_capped_until_a_session_ends(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder(), max_sessions=1)
    token = (await orchestrator.info()).auth_token
    source = b"source" * 10
    await orchestrator.segment(source, work_headers(credentials_for(token, source), signer=None))
    await refused(orchestrator.info(), "Invalid orchestrator request: OrchestratorCapped")
    await orchestrator.call(
        "EndTranscodingSession",
        pb.EndTranscodingSessionRequest(auth_token=auth_token_to_proto(token)),
        pb.EndTranscodingSessionResponse,
    )
    await orchestrator.info()
    url = f"{orchestrator.uri}/stream/{token.session}/P240p30fps16x9/7.ts"
    assert (await orchestrator.http.get(url)).status_code == 404


async def test_idle_session__ends_by_itself(serve):
    transcoder = RecordingTranscoder()
    orchestrator = await serve(transcoder=transcoder, max_sessions=1, idle_s=0.2)
    token = (await orchestrator.info()).auth_token
    source = b"source" * 10
    await orchestrator.segment(source, work_headers(credentials_for(token, source), signer=None))
    await until(lambda: not orchestrator.server.snapshot().sessions)
    assert transcoder.ended == [token.session]


@pytest.mark.parametrize("token", [None, pb.AuthToken(token=b"x", session_id="deadbeef", expiration=2**40)])
async def test_end_session__no_or_forged_token__is_refused(serve, token):
    orchestrator = await serve(transcoder=RecordingTranscoder())
    request = pb.EndTranscodingSessionRequest(auth_token=token)
    await refused(
        orchestrator.call("EndTranscodingSession", request, pb.EndTranscodingSessionResponse), "Invalid auth token"
    )


async def test_ping__is_signed(serve):
    orchestrator = await serve(**a_chain())
    answer = await orchestrator.call("Ping", pb.PingPong(value=b"are you there"), pb.PingPong)
    assert verify(bytes.fromhex(ORCHESTRATOR.address[2:]), ping_message(b"are you there"), answer.value)


async def test_workers_door__without_a_secret__does_not_exist(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder())
    channel = await open_channel(parse_endpoint(orchestrator.uri), timeout_s=10)
    call = channel.unary_stream(
        "/net.Transcoder/RegisterTranscoder",
        request_serializer=pb.RegisterRequest.SerializeToString,
        response_deserializer=pb.NotifySegment.FromString,
    )(pb.RegisterRequest(secret="", capacity=1))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await channel.close(None)
    assert (await orchestrator.http.post(f"{orchestrator.uri}/transcodeResults")).status_code == 404


async def test_restart__token_outlives_it(serve):
    first = await serve(transcoder=RecordingTranscoder())
    token = (await first.info()).auth_token
    second = await serve(transcoder=RecordingTranscoder())
    source = b"source" * 10
    assert isinstance(token, AuthToken)
    outcome = await second.segment(source, work_headers(credentials_for(token, source), signer=None))
    assert outcome.error is None
