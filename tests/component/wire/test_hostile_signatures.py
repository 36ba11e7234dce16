"""A signature has one form. Each other that means the same to a lenient reader is refused wherever one is taken."""

import base64
from dataclasses import replace

import grpc
import pytest

from livefleet.chain import keccak256, recover_address, verify
from livefleet.payments import Quote
from livefleet.wire.gateway.verify import result_is_signed
from livefleet.wire.messages import OrchestratorRequest
from livefleet.wire.segment import sign_segment
from livefleet.wire.signing import request_is_signed, request_message, result_message
from livefleet.wire.translate import segment_to_header
from tests.builders.payments import a_desk, pay
from tests.builders.wire import GATEWAY, ORCHESTRATOR, RecordingTranscoder, credentials_for, work_headers

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
GATEWAY_BYTES = bytes.fromhex(GATEWAY.address[2:])


def number(raw):
    return int.from_bytes(raw, "big")


def word(value):
    return value.to_bytes(32, "big")


FORMS = {
    "high s": lambda r, s, v: r + word(ORDER - number(s)) + bytes([55 - v]),
    "high s, same v": lambda r, s, v: r + word(ORDER - number(s)) + bytes([v]),
    "v from 0": lambda r, s, v: r + s + bytes([v - 27]),
    "v of EIP-155": lambda r, s, v: r + s + bytes([v + 8]),
    "the other v": lambda r, s, v: r + s + bytes([55 - v]),
    "v beyond both": lambda r, s, v: r + s + bytes([v + 2]),
    "v of 255": lambda r, s, _: r + s + b"\xff",
    "no v": lambda r, s, _: r + s,
    "a byte more": lambda r, s, v: r + s + bytes([v, 0]),
    "a byte before": lambda r, s, v: b"\0" + r + s + bytes([v]),
    "compact, EIP-2098": lambda r, s, v: r + word(number(s) | (v - 27) << 255),
    "r of 0": lambda _, s, v: word(0) + s + bytes([v]),
    "s of 0": lambda r, _, v: r + word(0) + bytes([v]),
    "r of the order": lambda _, s, v: word(ORDER) + s + bytes([v]),
    "r beyond the order": lambda _, s, v: b"\xff" * 32 + s + bytes([v]),
    "s plus the order": lambda r, s, v: r + word((number(s) + ORDER) % 2**256) + bytes([v]),
    "zeroes": lambda *_: bytes(65),
    "zeroes, right v": lambda *parts: bytes(64) + bytes([parts[2]]),
    "nothing": lambda *_: b"",
    "hexadecimal": lambda r, s, v: (r + s + bytes([v])).hex().encode(),
}
"""The name of a form, and how it is made of r, s and v."""


class Bent:
    """The gateway's signer, whose signatures have another form."""

    address = GATEWAY.address

    def __init__(self, form):
        self._form = FORMS[form]

    def sign_message(self, message):
        return self.bend(GATEWAY.sign_message(message))

    def bend(self, signature):
        bent = self._form(signature[:32], signature[32:64], signature[64])
        assert bent != signature
        return bent


@pytest.fixture(params=FORMS)
def bent(request):
    return Bent(request.param)


@pytest.mark.parametrize("message", [keccak256(bytes([n])) for n in range(8)], ids=range(8))
def test_recovery__any_message__knows_one_form(bent, message):
    good = GATEWAY.sign_message(message)
    assert recover_address(message, good) == GATEWAY_BYTES
    assert recover_address(message, bent.bend(good)) != GATEWAY_BYTES
    assert not verify(GATEWAY_BYTES, message, bent.bend(good))


def test_request(bent):
    message = request_message(GATEWAY_BYTES)
    assert request_is_signed(GATEWAY_BYTES, GATEWAY.sign_message(message))
    assert not request_is_signed(GATEWAY_BYTES, bent.sign_message(message))


def test_credentials(bent):
    credentials = credentials_for(None, SOURCE)
    assert sign_segment(credentials, GATEWAY).is_signed_by(GATEWAY_BYTES)
    assert not sign_segment(credentials, bent).is_signed_by(GATEWAY_BYTES)


def test_result(bent):
    renditions = [b"one", b"two"]
    assert result_is_signed(renditions, GATEWAY.sign_message(result_message(renditions)), GATEWAY_BYTES)
    assert not result_is_signed(renditions, bent.sign_message(result_message(renditions)), GATEWAY_BYTES)


@pytest.fixture
async def paid(serve, tmp_path):
    async with a_desk(tmp_path / "store.sqlite3") as (payments, _, _, _):
        node = await serve(payments=payments, signer=ORCHESTRATOR, transcoder=RecordingTranscoder())
        node.payments = payments
        yield node


async def test_front_door__bent_signatures_of_every_form__are_refused_in_its_words(paid):
    info = await paid.info()
    payment = pay(Quote(info.price, info.ticket_params), range(1, 30))
    for form in FORMS:
        bent = Bent(form)
        asked = OrchestratorRequest(GATEWAY_BYTES, bent.sign_message(request_message(GATEWAY_BYTES)))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await paid.info(asked)
        assert refused.value.details() == "Invalid orchestrator request: orchestrator req sig check failed", form

        credentials = credentials_for(info.auth_token, SOURCE)
        headers = work_headers(credentials, payment)
        answer = await _post(paid, headers | {"Livepeer-Segment": segment_to_header(sign_segment(credentials, bent))})
        assert (answer.status_code, answer.text) == (403, "ErrSegSig\n"), form

        tickets = tuple(replace(ticket, signature=bent.bend(ticket.signature)) for ticket in payment.tickets)
        answer = await _post(paid, work_headers(credentials, replace(payment, tickets=tickets)))
        assert (answer.status_code, answer.text) == (400, "invalid ticket signature\n"), form
    assert paid.payments.snapshot().received.count == 0
    assert paid.server.snapshot().segments_ok == 0
    assert (await _post(paid, work_headers(credentials_for(info.auth_token, SOURCE), payment))).status_code == 200
    assert paid.payments.snapshot().received.count == len(payment.tickets)


async def test_front_door__token_of_another_form__is_not_ours(paid):
    token = (await paid.info()).auth_token
    for proof in (
        b"",
        token.token[:-1],
        token.token + b"\0",
        token.token.hex().encode(),
        base64.b64encode(token.token),
    ):
        headers = work_headers(credentials_for(replace(token, token=proof), SOURCE))
        answer = await _post(paid, headers)
        assert answer.status_code == 403


async def _post(paid, headers):
    return await paid.http.post(f"{paid.uri}/segment", content=SOURCE, headers=headers)
