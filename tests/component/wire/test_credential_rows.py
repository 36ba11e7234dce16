"""What is wrong with the header `Livepeer-Segment`, in the protocol's words, and in which order it is said."""

import base64
import time
from dataclasses import dataclass, field, replace

import pytest

from livefleet.kernel import Refused
from livefleet.wire import AuthToken, Capabilities, Capability
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.segment import sign_segment
from livefleet.wire.translate import payment_to_header, segment_to_header, segment_to_proto
from tests.builders.clock import HandClock
from tests.builders.wire import (
    GATEWAY,
    ORCHESTRATOR,
    RecordingTranscoder,
    TabPayments,
    a_payment,
    a_profile,
    credentials_for,
    work_headers,
)

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000


@pytest.fixture
async def node(serve):
    """One place; its session is not open yet."""
    clock = HandClock(time.time())
    payments = TabPayments()
    orchestrator = await serve(
        payments=payments, signer=ORCHESTRATOR, transcoder=RecordingTranscoder(), max_sessions=1, clock=clock
    )
    orchestrator.payments, orchestrator.clock = payments, clock
    orchestrator.token, orchestrator.other = [(await orchestrator.info()).auth_token for _ in range(2)]
    return orchestrator


async def post(orchestrator, headers, body=SOURCE, path="segment"):
    return await orchestrator.http.post(f"{orchestrator.uri}/{path}", content=body, headers=headers)


def assert_refused(response, status, text):
    assert (response.status_code, response.text) == (status, text + "\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"


def changed(orchestrator, change):
    """Headers whose SegData was changed after signing."""
    headers = work_headers(credentials_for(orchestrator.token, SOURCE), a_payment())
    message = pb.SegData.FromString(base64.b64decode(headers["Livepeer-Segment"]))
    change(message)
    return headers | {"Livepeer-Segment": base64.b64encode(message.SerializeToString()).decode()}


def set_profile(**fields):
    def change(message):
        for name, value in fields.items():
            setattr(message.fullProfiles[0], name, value)

    return change


def set_field(**fields):
    def change(message):
        for name, value in fields.items():
            setattr(message, name, value)

    return change


@pytest.mark.parametrize("path", ["segment", "payment"])
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (set_profile(format=9), "unrecognized profile output format"),
        (set_profile(profile=9), "unrecognized encoder profile"),
        (set_profile(encoder=9), "unrecognized video codec"),
        (set_field(duration=300_001), "invalid duration"),
        (set_field(duration=-1), "invalid duration"),
        (set_field(seq=8), "ErrSegSig"),
        (set_field(manifestId=b"other"), "ErrSegSig"),
        (set_field(hash=b"\0" * 32), "ErrSegSig"),
        (set_profile(name="other"), "ErrSegSig"),
        (lambda message: message.ClearField("auth_token"), "missing auth token"),
        (lambda message: setattr(message.auth_token, "session_id", "deadbeef"), "invalid auth token"),
        (lambda message: setattr(message.auth_token, "expiration", 2**40), "invalid auth token"),
        (lambda message: setattr(message.auth_token, "token", b""), "invalid auth token"),
        (lambda message: message.capabilities.bitstring.append(0), "incompatible capabilities"),
        (lambda message: setattr(message.capabilities.constraints, "minVersion", "99.0"), "incompatible capabilities"),
    ],
)
async def test_credentials__a_field_is_wrong__is_403_with_its_text(node, path, change, text):
    assert_refused(await post(node, changed(node, change), path=path), 403, text)


@pytest.mark.parametrize("path", ["segment", "payment"])
@pytest.mark.parametrize("header", ["%%%", "AAA", "_-8="])
async def test_credentials__no_base64__are_403(node, path, header):
    headers = {"Livepeer-Segment": header, "Livepeer-Payment": payment_to_header(a_payment())}
    assert_refused(await post(node, headers, path=path), 403, "ErrorSegEncoding")


@pytest.mark.parametrize("path", ["segment", "payment"])
async def test_credentials__no_protobuf__are_403_with_the_parsers_words(node, path):
    headers = {"Livepeer-Segment": "/////w==", "Livepeer-Payment": payment_to_header(a_payment())}
    response = await post(node, headers, path=path)
    assert response.status_code == 403
    assert "pars" in response.text.lower()


@pytest.mark.parametrize("path", ["segment", "payment"])
@pytest.mark.parametrize("header", ["", None])
async def test_credentials__empty_or_missing__are_an_empty_message(node, path, header):
    headers = {"Livepeer-Payment": payment_to_header(a_payment())}
    if header is not None:
        headers["Livepeer-Segment"] = header
    assert_refused(await post(node, headers, path=path), 403, "ErrSegSig")


async def test_token__its_last_second__is_good_and_the_next_is_not(node):
    headers = work_headers(credentials_for(node.token, SOURCE), a_payment())
    node.clock.time = float(node.token.expiration)
    assert (await post(node, headers)).status_code == 200
    node.clock.time += 1
    assert_refused(await post(node, headers), 403, "expired auth token")


async def test_credentials__what_is_not_signed__may_differ(node):
    def change(message):
        message.fullProfiles[0].width = 640
        message.duration = 1234
        message.profiles = b"anything"
        message.segment_parameters.to = 1000

    assert (await post(node, changed(node, change))).status_code == 200


async def test_profile__without_a_name__is_verified_under_the_name_it_gets(node):
    nameless = credentials_for(node.token, SOURCE, profiles=(a_profile("net_426x240_600000"),))
    message = segment_to_proto(sign_segment(nameless, GATEWAY))
    message.fullProfiles[0].name = ""
    headers = work_headers(nameless, a_payment())
    headers["Livepeer-Segment"] = base64.b64encode(message.SerializeToString()).decode()
    response = await post(node, headers)
    result = pb.TranscodeResult.FromString(response.content)
    assert result.data.segments[0].url.endswith("/net_426x240_600000/7.ts")


async def test_profiles__several_fields__the_newest_counts(node):
    wanted = credentials_for(node.token, SOURCE, profiles=(a_profile("new"),))
    message = segment_to_proto(sign_segment(wanted, GATEWAY))
    message.fullProfiles3.extend(message.fullProfiles)
    del message.fullProfiles[:]
    message.fullProfiles.add(name="old", width=16, height=16)
    message.fullProfiles2.add(name="older", width=16, height=16)
    headers = work_headers(wanted, a_payment())
    headers["Livepeer-Segment"] = base64.b64encode(message.SerializeToString()).decode()
    result = pb.TranscodeResult.FromString((await post(node, headers)).content)
    assert [s.url.split("/")[-2] for s in result.data.segments] == ["new"]


@dataclass
class Request:
    """One request, and what may be done to it."""

    node: object
    token: AuthToken | None
    payment: object
    signer: object = GATEWAY
    credentials: dict = field(default_factory=dict)
    body: bytes = SOURCE
    headers: dict = field(default_factory=dict)

    async def send(self):
        signed = sign_segment(credentials_for(self.token, SOURCE, **self.credentials), self.signer)
        headers = {"Livepeer-Segment": segment_to_header(signed), "Livepeer-Payment": payment_to_header(self.payment)}
        return await post(self.node, headers | self.headers, self.body)


def unreadable_payment(r):
    r.headers["Livepeer-Payment"] = "%"


def unreadable_credentials(r):
    r.headers["Livepeer-Segment"] = "%"


def bad_duration(r):
    r.credentials["duration_ms"] = 300_001


def bad_signature(r):
    r.signer = ORCHESTRATOR


def incapable(r):
    r.credentials["capabilities"] = Capabilities.of({Capability.AUTH_TOKEN, Capability.HEVC_ENCODE})


def no_token(r):
    r.token = None


def forged_token(r):
    r.token = r.token and replace(r.token, token=b"\0" * 32)


def old_token(r):
    r.node.clock.time += 1801


async def node_is_full(r):
    headers = work_headers(credentials_for(r.node.other, SOURCE, manifest_id=b"other"), a_payment())
    assert (await post(r.node, headers)).status_code == 200


def no_quote(r):
    r.node.payments.quote_error = Refused("insufficient sender reserve")


def bad_tickets(r):
    r.node.payments.receive_error = Refused("TicketParams expired")


def no_money(r):
    r.payment = replace(r.payment, tickets=(), ticket_params=None)


def no_such_url(r):
    r.headers["Content-Type"] = "application/vnd+livepeer.uri"
    r.body = b"https://127.0.0.1:1/segment.ts"


def other_bytes(r):
    r.body = b"something else"


ORDER = (
    (unreadable_payment, 402, None),
    (unreadable_credentials, 403, "ErrorSegEncoding"),
    (bad_duration, 403, "invalid duration"),
    (bad_signature, 403, "ErrSegSig"),
    (incapable, 403, "incompatible capabilities"),
    (no_token, 403, "missing auth token"),
    (forged_token, 403, "invalid auth token"),
    (old_token, 403, "expired auth token"),
    (node_is_full, 403, "OrchestratorCapped"),
    (no_quote, 500, "Internal Server Error"),
    (bad_tickets, 400, "TicketParams expired"),
    (no_money, 400, "Insufficient balance"),
    (no_such_url, 400, "BadRequest"),
    (other_bytes, 403, "Forbidden"),
)


@pytest.mark.parametrize("first", range(len(ORDER)), ids=[fault.__name__ for fault, _, _ in ORDER])
async def test_segment__several_faults__the_earliest_check_speaks(node, first):
    """Each fault with the one after it; a fault that hides the next one of its kind is sent with the one behind."""
    fault, status, text = ORDER[first]
    after = [other for other, _, _ in ORDER[first + 1 :] if (fault, other) != (no_such_url, other_bytes)][:2]
    request = Request(node, node.token, a_payment())
    faults = (*after, fault)
    if node_is_full in faults:
        await node_is_full(request)
    for each in faults:
        if each is not node_is_full:
            each(request)
    response = await request.send()
    if text is None:
        assert response.status_code == status
        assert response.text.startswith("base64 decode error: ")
    else:
        assert_refused(response, status, text)
    assert node.server.snapshot().segments_ok == (1 if node_is_full in faults else 0)
