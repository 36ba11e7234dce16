import asyncio
import base64
from dataclasses import replace

import httpx
import pytest

from livefleet.chain import keccak256, verify
from livefleet.kernel import Refused, Transient
from livefleet.wire import Capabilities
from livefleet.wire.channel import insecure_tls_context
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.server.http_answers import MAX_BODY
from livefleet.wire.signing import result_message
from livefleet.wire.translate import info_from_proto
from tests.builders.wire import (
    GATEWAY,
    ORCHESTRATOR,
    FreePayments,
    RecordingTranscoder,
    TabPayments,
    a_payment,
    credentials_for,
    made_of,
    work_headers,
)

pytestmark = pytest.mark.component

SOURCE = b"G" + bytes(range(256)) * 2000


@pytest.fixture
async def paid(serve):
    payments = TabPayments()
    orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, transcoder=RecordingTranscoder())
    orchestrator.payments = payments
    orchestrator.token = (await orchestrator.info()).auth_token
    return orchestrator


async def post(orchestrator, headers, body=SOURCE, path="segment"):
    return await orchestrator.http.post(f"{orchestrator.uri}/{path}", content=body, headers=headers)


def assert_refused(response, status, text):
    assert (response.status_code, response.text) == (status, text + "\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("http2", [True, False])
async def test_segment__paid__renditions_are_stored_signed_and_charged(paid, http2):
    credentials = credentials_for(paid.token, SOURCE)
    async with httpx.AsyncClient(verify=False, http2=http2) as client:
        response = await client.post(
            f"{paid.uri}/segment", content=SOURCE, headers=work_headers(credentials, a_payment())
        )
        assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        result = pb.TranscodeResult.FromString(response.content)
        assert result.seq == 7
        assert [s.pixels for s in result.data.segments] == [426 * 240 * 60, 256 * 144 * 60]
        files = [await client.get(s.url) for s in result.data.segments]
    assert [f.content for f in files] == [made_of(p, SOURCE) for p in credentials.profiles]
    assert files[0].headers["content-type"] == "video/mp2t"
    assert files[0].headers["cache-control"] == "max-age=5"
    assert files[0].headers["access-control-allow-origin"] == "*"
    url = f"{paid.uri}/stream/{paid.token.session}/P240p30fps16x9/7.ts"
    assert result.data.segments[0].url == url
    digest = result_message([f.content for f in files])
    assert verify(bytes.fromhex(ORCHESTRATOR.address[2:]), digest, result.data.sig)
    info = info_from_proto(result.info)
    assert info.auth_token == paid.token
    assert info.price == paid.payments.price
    assert info.ticket_params is not None
    assert paid.payments.debits == [(paid.token.session, (426 * 240 + 256 * 144) * 60)]
    snapshot = paid.server.snapshot()
    assert (snapshot.segments_ok, snapshot.sessions, snapshot.local_sessions) == (1, 1, 1)
    assert snapshot.pixels == (426 * 240 + 256 * 144) * 60


async def test_segment__payment_not_base64__is_402(paid):
    headers = work_headers(credentials_for(paid.token, SOURCE)) | {"Livepeer-Payment": "not base64!"}
    response = await post(paid, headers)
    assert response.status_code == 402
    assert response.text.startswith("base64 decode error: ")


async def test_segment__payment_no_protobuf__is_402(paid):
    garbage = base64.b64encode(b"\xff\xff\xff").decode()
    response = await post(paid, work_headers(credentials_for(paid.token, SOURCE)) | {"Livepeer-Payment": garbage})
    assert response.status_code == 402
    assert response.text.startswith("protobuf unmarshal error: ")


async def test_segment__credentials_not_base64__are_403(paid):
    response = await post(paid, {"Livepeer-Segment": "%%%", "Livepeer-Payment": ""})
    assert_refused(response, 403, "ErrorSegEncoding")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"duration_ms": 300_001}, "invalid duration"),
        ({"capabilities": Capabilities.of({0, 12, 16})}, "incompatible capabilities"),
        ({"auth_token": None}, "missing auth token"),
    ],
)
async def test_segment__bad_credentials__are_403_with_their_text(paid, change, text):
    response = await post(paid, work_headers(credentials_for(paid.token, SOURCE, **({} | change)), a_payment()))
    assert_refused(response, 403, text)


async def test_segment__forged_token__is_403(paid):
    forged = replace(paid.token, token=b"\0" * 32)
    assert_refused(
        await post(paid, work_headers(credentials_for(forged, SOURCE), a_payment())), 403, "invalid auth token"
    )


async def test_segment__signed_by_somebody_else__is_403(paid):
    headers = work_headers(credentials_for(paid.token, SOURCE), a_payment(), signer=ORCHESTRATOR)
    assert_refused(await post(paid, headers), 403, "ErrSegSig")


async def test_segment__on_chain_without_payment__is_403(paid):
    assert_refused(await post(paid, work_headers(credentials_for(paid.token, SOURCE))), 403, "ErrSegSig")


async def test_segment__no_quote_for_the_sender__is_500(paid):
    paid.payments.quote_error = Refused("insufficient sender reserve")
    response = await post(paid, work_headers(credentials_for(paid.token, SOURCE), a_payment()))
    assert_refused(response, 500, "Internal Server Error")


async def test_segment__payment_refused__is_400_with_its_text(paid):
    paid.payments.receive_error = Refused("TicketParams expired")
    response = await post(paid, work_headers(credentials_for(paid.token, SOURCE), a_payment()))
    assert_refused(response, 400, "TicketParams expired")


async def test_segment__store_is_down__is_500_and_nothing_is_transcoded(paid):
    paid.payments.receive_error = Transient("disk full")
    response = await post(paid, work_headers(credentials_for(paid.token, SOURCE), a_payment()))
    assert_refused(response, 500, "Internal Server Error")
    assert paid.payments.debits == []


async def test_segment__nothing_paid__is_400(paid):
    response = await post(paid, work_headers(credentials_for(paid.token, SOURCE), a_payment(tickets=0)))
    assert_refused(response, 400, "Insufficient balance")


async def test_segment__corrupt_source__is_403_and_not_charged(paid):
    response = await post(paid, work_headers(credentials_for(paid.token, SOURCE), a_payment()), SOURCE + b"x")
    assert_refused(response, 403, "Forbidden")
    assert paid.payments.debits == []


async def test_segment__six_hundred_tickets__fit_into_the_headers(paid):
    response = await post(paid, work_headers(credentials_for(paid.token, SOURCE), a_payment(tickets=600)))
    assert response.status_code == 200


async def test_segment__announced_too_large__is_refused_before_it_is_sent(paid):
    host, port = paid.uri.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=insecure_tls_context(["http/1.1"]))
    lines = "".join(
        f"{name}: {value}\r\n" for name, value in work_headers(credentials_for(paid.token, SOURCE), a_payment()).items()
    )
    writer.write(f"POST /segment HTTP/1.1\r\nHost: o\r\n{lines}Content-Length: {MAX_BODY + 1}\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 500")
    writer.close()


async def test_segment__transcoder_fails__error_comes_inside_a_200_and_costs_nothing(serve):
    payments = TabPayments()
    transcoder = RecordingTranscoder(failure="No keyframes in input")
    orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, transcoder=transcoder)
    token = (await orchestrator.info()).auth_token
    outcome = await orchestrator.segment(SOURCE, work_headers(credentials_for(token, SOURCE), a_payment()))
    assert outcome.error == "No keyframes in input"
    assert outcome.info is not None
    assert payments.debits == []
    assert orchestrator.server.snapshot().segments_failed == 1


async def test_segment__transcoder_breaks_unforeseen__is_answered_all_the_same(serve, caplog):
    class Broken(RecordingTranscoder):
        async def transcode(self, job):
            raise OSError(28, "No space left on device", "/run/somewhere")

    orchestrator = await serve(transcoder=Broken())
    token = (await orchestrator.info()).auth_token
    outcome = await orchestrator.segment(SOURCE, work_headers(credentials_for(token, SOURCE), signer=None))
    assert outcome.error == "Internal Server Error"
    assert "No space left" in caplog.text


async def test_segment__too_few_renditions__is_mismatched(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder(renditions_missing=1))
    token = (await orchestrator.info()).auth_token
    outcome = await orchestrator.segment(SOURCE, work_headers(credentials_for(token, SOURCE), signer=None))
    assert outcome.error == "MismatchedSegments"


async def test_segment__headers_leave_before_the_work_is_done(serve):
    transcoder = RecordingTranscoder()
    transcoder.gate.clear()
    orchestrator = await serve(transcoder=transcoder)
    token = (await orchestrator.info()).auth_token
    headers = work_headers(credentials_for(token, SOURCE), signer=None)
    async with orchestrator.http.stream(
        "POST", f"{orchestrator.uri}/segment", content=SOURCE, headers=headers
    ) as response:
        assert response.status_code == 200
        transcoder.gate.set()
        result = pb.TranscodeResult.FromString(await response.aread())
    assert len(result.data.segments) == 2


@pytest.mark.parametrize("networks", [("127.0.0.0/8",), None])  # None: the node's own address is a loopback one too
async def test_segment__source_as_url__is_fetched(serve, networks):
    orchestrator = await serve(transcoder=RecordingTranscoder(), peer_networks=networks)
    token = (await orchestrator.info()).auth_token
    first = await orchestrator.segment(SOURCE, work_headers(credentials_for(token, SOURCE), signer=None))
    stored = made_of(credentials_for(token, SOURCE).profiles[0], SOURCE)
    headers = work_headers(credentials_for(token, stored, sequence=8), signer=None)
    headers["Content-Type"] = "application/vnd+livepeer.uri"
    outcome = await orchestrator.segment(first.renditions[0].url.encode(), headers)
    assert outcome.error is None
    missing = await post(orchestrator, headers, f"{orchestrator.uri}/stream/nowhere".encode())
    assert_refused(missing, 400, "BadRequest")


async def test_offchain__sdk_sends_only_a_token__payment_is_taken(serve):
    payments = FreePayments()
    orchestrator = await serve(payments=payments, transcoder=RecordingTranscoder(), max_sessions=1)
    info = await orchestrator.info()
    assert (info.price, info.ticket_params, info.address) == (None, None, b"\0" * 20)
    only_token = credentials_for(
        info.auth_token, b"", manifest_id=b"", sequence=0, source_hash=b"", profiles=(), capabilities=None
    )
    response = await post(orchestrator, work_headers(only_token, signer=None), b"", "payment")
    assert response.status_code == 200
    result = pb.PaymentResult.FromString(response.content)
    assert info_from_proto(result.info).auth_token == info.auth_token


async def test_payment__full_node__is_taken_under_the_manifest(serve):
    payments = TabPayments()
    orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, transcoder=RecordingTranscoder(), max_sessions=1)
    tokens = [(await orchestrator.info()).auth_token for _ in range(2)]
    await orchestrator.segment(SOURCE, work_headers(credentials_for(tokens[0], SOURCE), a_payment()))
    assert_refused(
        await post(orchestrator, work_headers(credentials_for(tokens[1], SOURCE), a_payment())),
        403,
        "OrchestratorCapped",
    )
    payment_only = credentials_for(tokens[1], b"", profiles=())
    response = await post(orchestrator, work_headers(payment_only, a_payment()), b"", "payment")
    assert response.status_code == 200
    assert payments.tab[(GATEWAY.address, "mymanifest")] == 10**18


async def test_stream__unknown_file__is_404(paid):
    assert_refused(await paid.http.get(f"{paid.uri}/stream/nobody/knows.ts"), 404, "ErrNotFound")


async def test_healthz__is_empty(paid):
    response = await paid.http.get(f"{paid.uri}/healthz")
    assert (response.status_code, response.content) == (200, b"")


async def test_segment__url_hash_is_what_was_fetched(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder(), peer_networks=("127.0.0.0/8",))
    token = (await orchestrator.info()).auth_token
    first = await orchestrator.segment(SOURCE, work_headers(credentials_for(token, SOURCE), signer=None))
    wrong = credentials_for(token, SOURCE, source_hash=keccak256(b"other"))
    headers = work_headers(wrong, signer=None) | {"Content-Type": "application/vnd+livepeer.uri"}
    assert_refused(await post(orchestrator, headers, first.renditions[0].url.encode()), 403, "Forbidden")
