"""POST /refresh-payment: new ticket parameters for a session that is paid for by itself."""

import base64
from fractions import Fraction

import pytest

from livefleet.payments import Quote
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.translate import info_from_proto
from tests.builders.payments import GATEWAY, a_desk, a_sender, pay
from tests.builders.wire import ORCHESTRATOR, FreePayments, RecordingTranscoder, credentials_for, work_headers

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000


@pytest.fixture
async def paid(serve, tmp_path):
    async with a_desk(tmp_path / "store.sqlite3") as (payments, _, chain, _):
        orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, transcoder=RecordingTranscoder())
        orchestrator.payments, orchestrator.chain = payments, chain
        yield orchestrator


async def refresh(orchestrator, **body):
    return await orchestrator.http.post(f"{orchestrator.uri}/refresh-payment", json=body)


def assert_refused(response, status, message):
    assert (response.status_code, response.json()) == (status, {"error": {"message": message}})
    assert response.headers["content-type"] == "application/json"


async def pay_for(orchestrator, manifest):
    """A payment by POST /payment, which fixes the manifest's price."""
    info = await orchestrator.info()
    credentials = credentials_for(info.auth_token, b"", manifest_id=manifest.encode(), profiles=())
    headers = work_headers(credentials, pay(Quote(info.price, info.ticket_params), [1]))
    assert (await orchestrator.http.post(f"{orchestrator.uri}/payment", headers=headers)).status_code == 200
    return info


async def test_refresh__paid_manifest__new_parameters_at_its_price_pay_again(paid):
    before = await pay_for(paid, "live-1")
    response = await refresh(paid, sender=GATEWAY, manifest_id=" live-1 ")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert set(answer) == {"payment_params", "orchestrator", "manifest_id", "payment_url"}
    assert (answer["orchestrator"], answer["manifest_id"]) == (paid.uri, "live-1")
    assert answer["payment_url"] == f"{paid.uri}/payment"
    message = pb.OrchestratorInfo.FromString(base64.b64decode(answer["payment_params"], validate=True))
    told = {field.name for field, _ in message.ListFields()}
    assert told == {"transcoder", "ticket_params", "price_info", "address", "auth_token"}
    info = info_from_proto(message)
    assert info.price == Fraction(1200)
    assert info.address == bytes.fromhex(ORCHESTRATOR.address[2:])
    assert info.auth_token.session == "live-1"
    assert info.ticket_params.recipient_rand_hash != before.ticket_params.recipient_rand_hash
    credentials = credentials_for(info.auth_token, b"", manifest_id=b"live-1", profiles=())
    headers = work_headers(credentials, pay(Quote(info.price, info.ticket_params), [1]))
    assert (await paid.http.post(answer["payment_url"], headers=headers)).status_code == 200
    assert paid.payments.snapshot().received.count == 2


@pytest.mark.parametrize("sender", [GATEWAY.lower(), GATEWAY[2:], "0X" + GATEWAY[2:].upper()])
async def test_refresh__any_way_of_writing_the_address__is_the_sender(paid, sender):
    await pay_for(paid, "live-1")
    assert (await refresh(paid, sender=sender, manifest_id="live-1")).status_code == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"manifest_id": "live-1"}, "invalid sender"),
        ({"sender": "0x12", "manifest_id": "live-1"}, "invalid sender"),
        ({"sender": GATEWAY + "00", "manifest_id": "live-1"}, "invalid sender"),
        ({"sender": GATEWAY}, "missing manifest_id"),
        ({"sender": GATEWAY, "manifest_id": "  "}, "missing manifest_id"),
    ],
)
async def test_refresh__something_missing__is_400(paid, body, message):
    assert_refused(await refresh(paid, **body), 400, message)


@pytest.mark.parametrize("body", [b"", b"{", b'{"sender": 7}', b"[]", b"[" * 60_000, b"\xff", b" " * 70_000])
async def test_refresh__no_json__is_400_in_json(paid, body):
    response = await paid.http.post(f"{paid.uri}/refresh-payment", content=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"]
    assert response.headers["content-type"] == "application/json"


async def test_refresh__nothing_paid_yet__is_409(paid):
    assert_refused(await refresh(paid, sender=GATEWAY, manifest_id="live-1"), 409, "fixed price not found for session")


async def test_refresh__another_sender__is_409(paid):
    await pay_for(paid, "live-1")
    body = {"sender": ORCHESTRATOR.address, "manifest_id": "live-1"}
    assert_refused(await refresh(paid, **body), 409, "fixed price not found for session")


async def test_refresh__off_chain__is_409(serve):
    orchestrator = await serve(payments=FreePayments(), transcoder=RecordingTranscoder())
    body = {"sender": GATEWAY, "manifest_id": "live-1"}
    assert_refused(await refresh(orchestrator, **body), 409, "fixed price not found for session")


async def test_refresh__a_running_streams_session__no_token_that_could_end_it(paid):
    info = await paid.info()
    payment = pay(Quote(info.price, info.ticket_params), range(1, 30))
    await paid.segment(SOURCE, work_headers(credentials_for(info.auth_token, SOURCE), payment))
    body = {"sender": GATEWAY, "manifest_id": info.auth_token.session}
    assert_refused(await refresh(paid, **body), 409, "fixed price not found for session")


async def test_refresh__reserve_has_gone__is_500_and_says_no_more(paid):
    await pay_for(paid, "live-1")
    paid.chain.sender = a_sender(reserve_remaining=0)
    assert_refused(await refresh(paid, sender=GATEWAY, manifest_id="live-1"), 500, "Internal Server Error")


async def test_refresh__get__is_405(paid):
    assert (await paid.http.get(f"{paid.uri}/refresh-payment")).status_code == 405
