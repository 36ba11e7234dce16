"""What a taken segment is answered with, and the routes around it."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from livefleet.kernel import Pixels
from livefleet.media import Container, Rendition, TranscodeResult
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from tests.builders.wire import (
    ORCHESTRATOR,
    RecordingTranscoder,
    TabPayments,
    a_payment,
    a_profile,
    credentials_for,
    until,
    work_headers,
)

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000
NOT_PUNISHED = (
    "Unsupported input pixel format", "Error initializing filtergraph", "Too many outputs", "Unsupported input codec",
    "No keyframes in input", "Unrecoverable state, restart process", "Encoded frames runaway", "Decoder not found",
    "Demuxer not found", "Encoder not found", "Muxer not found", "Option not found", "Invalid argument",
    "TranscoderInvalidResolution", "TranscoderInvalidVideo", "TranscoderUnrecognizedFormat",
    "TranscoderUnrecognizedProfile", "TranscoderInvalidGOP", "TranscoderIncompatibleDevices",
)  # fmt: skip


async def segment(orchestrator, token, sequence=7, **credentials):
    headers = work_headers(credentials_for(token, SOURCE, sequence=sequence, **credentials), signer=None)
    return await orchestrator.segment(SOURCE, headers)


@pytest.fixture
def transcoder():
    return RecordingTranscoder()


@pytest.fixture
async def node(serve, transcoder):
    orchestrator = await serve(transcoder=transcoder)
    orchestrator.token = (await orchestrator.info()).auth_token
    return orchestrator


async def test_transcoders_words__about_the_input__arrive_whole(node, transcoder):
    """Gateways compare the whole text before they punish an orchestrator."""
    for sequence, text in enumerate(NOT_PUNISHED):
        transcoder.failure = text
        outcome = await segment(node, node.token, sequence)
        assert (outcome.error, outcome.sequence) == (text, sequence)
        assert (outcome.renditions, outcome.info.transcoder) == ((), node.uri)


async def test_rendition__of_less_than_25_bytes__is_zero_segments(serve):
    class Tiny(RecordingTranscoder):
        async def transcode(self, job):
            return TranscodeResult(tuple(Rendition(b"x" * 24, Pixels(1)) for _ in job.profiles), Pixels(1))

    orchestrator = await serve(transcoder=Tiny())
    assert (await segment(orchestrator, (await orchestrator.info()).auth_token)).error == "ZeroSegments"


async def test_no_transcoder_at_all__says_so(serve):
    orchestrator = await serve()
    outcome = await segment(orchestrator, (await orchestrator.info()).auth_token, capabilities=None)
    assert outcome.error == "ErrTranscoderUnavailable"


async def test_session__one_at_work_and_four_waiting__the_sixth_is_busy(node, transcoder):
    transcoder.gate.clear()

    def taken_in():
        session = node.server._sessions._open.get(node.token.session)
        return 0 if session is None else session.unfinished

    async with asyncio.TaskGroup() as group, asyncio.timeout(60):
        taken = []
        for sequence in range(5):
            taken.append(group.create_task(segment(node, node.token, sequence)))
            await until(lambda: taken_in() == len(taken))
        assert (await segment(node, node.token, 5)).error == "OrchestratorBusy"
        transcoder.gate.set()
    assert [task.result().error for task in taken] == [None] * 5
    assert [job.sequence for job in transcoder.jobs] == [0, 1, 2, 3, 4]  # strictly one after another


async def test_session__ended_while_segments_wait__they_are_told(node, transcoder):
    transcoder.gate.clear()
    async with asyncio.TaskGroup() as group, asyncio.timeout(60):
        waiting = group.create_task(segment(node, node.token))
        await until(lambda: transcoder.jobs)
        await node.server._sessions.end(node.token.session)
    assert waiting.result().error == "TranscoderStopped"


async def test_rendition__in_mp4__is_named_and_typed_so(node):
    outcome = await segment(node, node.token, profiles=(a_profile("small", container=Container.MP4),))
    (rendition,) = outcome.renditions
    assert rendition.url == f"{node.uri}/stream/{node.token.session}/small/7.mp4"
    response = await node.http.get(rendition.url)
    assert response.headers["content-type"] == "video/mp4"
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["access-control-expose-headers"] == "Content-Length"


async def test_stream__thirteenth_file__takes_the_place_of_the_first(node):
    urls = [(await segment(node, node.token, sequence)).renditions[0].url for sequence in range(13)]
    statuses = [(await node.http.get(url)).status_code for url in urls]
    assert statuses == [404, *[200] * 12]


async def test_off_chain__result_is_not_signed(node):
    assert (await segment(node, node.token)).signature == b""


@asynccontextmanager
async def a_silent_host():
    async def take(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_source_by_url__host_does_not_answer__is_400_after_four_seconds(node):
    headers = work_headers(credentials_for(node.token, SOURCE), signer=None)
    headers["Content-Type"] = "application/vnd+livepeer.uri"
    async with a_silent_host() as port:
        body = f"http://127.0.0.1:{port}/source.ts".encode()
        response = await node.http.post(f"{node.uri}/segment", content=body, headers=headers)
    assert (response.status_code, response.text) == (400, "BadRequest\n")


@pytest.mark.parametrize("content_type", ["application/vnd+livepeer.uri; charset=utf-8", "video/mp4", None])
async def test_body__of_any_other_type__is_the_source_itself(node, content_type):
    headers = work_headers(credentials_for(node.token, SOURCE), signer=None)
    del headers["Content-Type"]
    if content_type is not None:
        headers["Content-Type"] = content_type
    assert (await node.segment(SOURCE, headers)).error is None


async def test_payment__answer__has_prices_by_capability_and_nothing_for_browsing(serve):
    payments = TabPayments()
    orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, transcoder=RecordingTranscoder())
    token = (await orchestrator.info()).auth_token
    headers = work_headers(credentials_for(token, b"", profiles=(), capabilities=None), a_payment())
    response = await orchestrator.http.post(f"{orchestrator.uri}/payment", headers=headers, content=b"not looked at")
    result = pb.PaymentResult.FromString(response.content)
    assert result.info.auth_token.session_id == token.session
    assert (len(result.info.capabilities_prices), len(result.info.hardware)) == (0, 0)
    assert payments.quoted[-1] == (token.session, ())  # the price is the token's session's
    assert payments.received == ["mymanifest"]  # the credit is the manifest's


async def test_segment__answer__has_what_a_plain_request_gets(serve):
    orchestrator = await serve(payments=TabPayments(), signer=ORCHESTRATOR, transcoder=RecordingTranscoder())
    token = (await orchestrator.info()).auth_token
    outcome = await orchestrator.segment(SOURCE, work_headers(credentials_for(token, SOURCE), a_payment()))
    assert [(p.capability, p.model_id, p.price) for p in outcome.info.capability_prices] == [(27, "tiny", 7)]
    assert outcome.info.auth_token == token


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/discovery", 404),
        ("GET", "/healthz", 200),
        ("PUT", "/stream/a/b/c.ts", 405),
        ("GET", "/", 404),
        ("GET", "/payment", 405),
        ("POST", "/nowhere", 404),
    ],
)
async def test_route__there_or_not__is_answered(node, method, path, status):
    response = await node.http.request(method, f"{node.uri}{path}")
    assert response.status_code == status


@pytest.mark.parametrize("method", ["/net.Orchestrator/Nothing", "/net.TicketRedeemer/QueueTicket", "/other.Service/X"])
async def test_grpc__method_that_is_not_served__is_unimplemented(node, method):
    channel = await open_channel(parse_endpoint(node.uri), timeout_s=20)
    try:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(method)(b"", timeout=20)
    finally:
        await channel.close(None)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_ping__off_chain__is_empty(node):
    assert (await node.call("Ping", pb.PingPong(value=b"there?"), pb.PingPong)).value == b""


async def test_certificate__as_the_reference_makes_it(node):
    host, port = node.uri.removeprefix("https://").split(":")
    shown = x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode())
    key, extensions = shown.public_key(), shown.extensions
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert (list(shown.subject), shown.subject, shown.serial_number > 2**64) == ([], shown.issuer, True)
    assert shown.serial_number < 2**128
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName(host)]  # a DNS name even where it is an address
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.digital_signature, usage.crl_sign) == (True, True, False)
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    lasts = shown.not_valid_after_utc - shown.not_valid_before_utc
    assert timedelta(hours=8765) <= lasts <= timedelta(hours=8767)
