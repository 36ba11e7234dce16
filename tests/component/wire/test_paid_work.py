"""Work paid with real tickets: the real payments over SQLite, behind the real front door."""

from dataclasses import replace
from fractions import Fraction

import pytest

from livefleet.payments import Quote
from livefleet.wire import Capabilities, Capability, ModelConstraint
from livefleet.wire.segment import EMPTY_HASH
from tests.builders.payments import GATEWAY, a_desk, pay, some_prices
from tests.builders.wire import (
    IMAGE_BODY,
    MODEL,
    ORCHESTRATOR,
    OnePlace,
    RecordingTranscoder,
    credentials_for,
    work_headers,
)

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000
ENOUGH = 30  # tickets of 8 gwei; two renditions cost 167 gwei


@pytest.fixture
async def paid(serve, tmp_path):
    prices = some_prices(models={("text-to-image", MODEL): Fraction(1000)})
    async with a_desk(tmp_path / "store.sqlite3", prices=prices) as (payments, _, _, _):
        orchestrator = await serve(
            payments=payments, signer=ORCHESTRATOR, transcoder=RecordingTranscoder(), ai=OnePlace()
        )
        orchestrator.payments = payments
        yield orchestrator


def paying(info, nonces):
    return pay(Quote(info.price, info.ticket_params), nonces)


async def post(paid, token, payment, sequence=7):
    headers = work_headers(credentials_for(token, SOURCE, sequence=sequence), payment)
    return await paid.http.post(f"{paid.uri}/segment", content=SOURCE, headers=headers)


async def test_segment__real_tickets__are_credited_and_the_work_debited(paid):
    info = await paid.info()
    assert info.price == 1200
    headers = work_headers(credentials_for(info.auth_token, SOURCE), paying(info, range(1, ENOUGH)))
    outcome = await paid.segment(SOURCE, headers)
    assert outcome.error is None
    assert outcome.info.price == 1200
    snapshot = paid.payments.snapshot()
    assert snapshot.received.count == ENOUGH - 1
    fee = 1200 * sum(r.pixels for r in outcome.renditions)
    assert snapshot.credit == snapshot.received.value - fee
    assert snapshot.senders == (GATEWAY,)


async def test_segment__replayed_tickets__are_refused(paid):
    info = await paid.info()
    payment = paying(info, range(1, ENOUGH))
    assert (await post(paid, info.auth_token, payment)).status_code == 200
    again = await post(paid, info.auth_token, payment, sequence=8)
    assert again.status_code == 400
    assert "invalid ticket senderNonce: already seen" in again.text
    assert paid.server.snapshot().segments_ok == 1


async def test_segment__forged_ticket__is_refused(paid):
    info = await paid.info()
    payment = paying(info, [1])
    forged = replace(payment, tickets=(replace(payment.tickets[0], signature=b"\1" * 65),))
    response = await post(paid, info.auth_token, forged)
    assert (response.status_code, response.text) == (400, "invalid ticket signature\n")


async def test_segment__face_value_raised__is_refused(paid):
    info = await paid.info()
    cheat = replace(info, ticket_params=replace(info.ticket_params, face_value=1))
    response = await post(paid, info.auth_token, paying(cheat, [1]))
    assert response.status_code == 400
    assert "invalid recipientRand" in response.text


async def test_segment__headers_claim_it_is_free__is_refused(paid):
    info = await paid.info()
    free = replace(paying(info, []), ticket_params=None, price_per_unit=0, pixels_per_unit=1)
    response = await post(paid, info.auth_token, free)
    assert (response.status_code, response.text) == (400, "Insufficient balance\n")


async def test_payment__for_a_manifest__is_credited(paid):
    info = await paid.info()
    credentials = credentials_for(info.auth_token, b"", profiles=())
    headers = work_headers(credentials, paying(info, [1, 2]))
    response = await paid.http.post(f"{paid.uri}/payment", headers=headers)
    assert response.status_code == 200
    assert paid.payments.snapshot().received.count == 2


async def test_text_to_image__at_the_models_price__is_paid(paid):
    wanted = Capabilities.of({*range(13), 14, 26}, models={Capability.TEXT_TO_IMAGE: {MODEL: ModelConstraint()}})
    info = await paid.info(paid.signed(wanted))
    assert info.price == 1000
    credentials = credentials_for(
        info.auth_token,
        b"",
        manifest_id=f"27_{MODEL}".encode(),
        source_hash=EMPTY_HASH,
        profiles=(),
        capabilities=wanted,
    )
    headers = work_headers(credentials, paying(info, [1, 2])) | {"Content-Type": "application/json"}
    response = await paid.http.post(f"{paid.uri}/text-to-image", json=IMAGE_BODY, headers=headers)
    assert response.status_code == 200, response.text
    snapshot = paid.payments.snapshot()
    assert snapshot.credit == snapshot.received.value - 1000 * 64 * 32 * 2
