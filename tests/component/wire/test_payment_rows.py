"""What becomes of each payment that is not as it should be, in the words that gateways read: real tickets."""

import base64
from dataclasses import replace
from fractions import Fraction

import pytest

from livefleet.kernel import ZERO_ADDRESS, Round, Wei
from livefleet.payments import Quote, TicketExpiration
from livefleet.wire.translate import payment_to_header, payment_to_proto
from tests.builders.payments import GATEWAY, ORCHESTRATOR, OTHER, a_desk, a_sender, find_winner, no_tickets, pay
from tests.builders.wire import ORCHESTRATOR as NODE
from tests.builders.wire import FreePayments, RecordingTranscoder, credentials_for, work_headers

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000
ENOUGH = range(1, 60)  # tickets of 8 gwei; a segment costs 10 gwei
WRONG_COMMITMENT = "invalid recipientRand for ticket recipientRandHash"


@pytest.fixture
async def paid(serve, tmp_path):
    # Gas for next to nothing: one of a hundred tickets wins.
    async with a_desk(tmp_path / "store.sqlite3", gas_price=lambda: Wei(1)) as (payments, store, chain, _):
        orchestrator = await serve(payments=payments, signer=NODE, transcoder=RecordingTranscoder())
        orchestrator.payments, orchestrator.store, orchestrator.chain = payments, store, chain
        orchestrator.told = await orchestrator.info()
        yield orchestrator


def paying(orchestrator, nonces=ENOUGH, **fields):
    info = orchestrator.told
    return pay(Quote(info.price, info.ticket_params), nonces, **fields)


async def post(orchestrator, payment, *, path="segment", header=None, **credentials):
    headers = work_headers(credentials_for(orchestrator.told.auth_token, SOURCE, **credentials), payment)
    if header is not None:
        headers["Livepeer-Payment"] = header
    return await orchestrator.http.post(f"{orchestrator.uri}/{path}", content=SOURCE, headers=headers)


async def refused(orchestrator, payment, text, *, header=None):
    """On both doors that take payments, and nothing is done or credited."""
    for path in ("segment", "payment"):
        response = await post(orchestrator, payment, path=path, header=header)
        assert (response.status_code, response.text) == (400, text + "\n")
    assert orchestrator.server.snapshot().segments_ok == 0
    assert orchestrator.payments.snapshot().received.count == 0


async def test_offchain__tickets_of_anybody__are_taken_and_ignored(serve, paid):
    free = await serve(payments=FreePayments(), transcoder=RecordingTranscoder())
    free.told = await free.info()
    assert (await post(free, paying(paid, [1]))).status_code == 200


async def test_no_sender__tickets_of_nobody__are_nobodys_signature(paid):
    response = await post(paid, replace(paying(paid), sender=None))
    assert (response.status_code, response.text) == (403, "ErrSegSig\n")


async def test_no_tickets__by_itself__is_taken_without_credit_or_price(paid):
    response = await post(paid, no_tickets(Fraction(1)), path="payment")
    assert response.status_code == 200
    assert paid.payments.snapshot().received.count == 0
    assert paid.payments.fixed_price(GATEWAY, "mymanifest") is None


async def test_recipient_inactive__is_refused(paid):
    paid.chain.active.clear()
    await refused(paid, paying(paid), f"orchestrator {ORCHESTRATOR} is inactive in round 3500, cannot process payments")


@pytest.mark.parametrize(
    ("price", "what"),
    [
        ({"price_per_unit": None, "pixels_per_unit": 0}, "expected price is nil"),
        ({"pixels_per_unit": 0}, "pixels per unit is 0"),
        ({"price_per_unit": -1200}, "price is negative"),
        ({"pixels_per_unit": -1}, "price is negative"),
        ({"price_per_unit": -1200, "pixels_per_unit": -1}, "price is negative"),
    ],
)
@pytest.mark.parametrize("tickets", [True, False])
async def test_expected_price__none_or_negative__is_refused_before_the_body(paid, price, what, tickets):
    payment = replace(paying(paid) if tickets else no_tickets(), **price)
    await refused(paid, payment, f'invalid expected price sent with payment err="{what}"')


async def test_sender__funds_about_to_be_withdrawn__is_refused(paid):
    paid.chain.sender = a_sender(withdraw_round=Round(3501))
    await refused(paid, paying(paid), f"deposit and reserve for sender {GATEWAY} is set to unlock soon")


async def test_recipient__not_ours__is_refused(paid):
    paid.chain.active.add(OTHER)
    payment = paying(paid)
    await refused(
        paid,
        replace(payment, ticket_params=replace(payment.ticket_params, recipient=OTHER)),
        "invalid ticket recipient",
    )


async def test_sender__zero_address__is_nobodys_signature(paid):
    response = await post(paid, replace(paying(paid), sender=ZERO_ADDRESS))
    assert (response.status_code, response.text) == (403, "ErrSegSig\n")


@pytest.mark.parametrize(
    "forge",
    [
        lambda p: replace(p, price_per_unit=1),
        lambda p: replace(p, price_per_unit=1201),
        lambda p: replace(p, ticket_params=replace(p.ticket_params, face_value=1)),
        lambda p: replace(p, ticket_params=replace(p.ticket_params, win_prob=1)),
        lambda p: replace(p, ticket_params=replace(p.ticket_params, expiration_block=99_000_000)),
        lambda p: replace(p, ticket_params=replace(p.ticket_params, seed=7)),
        lambda p: replace(p, expiration=TicketExpiration(Round(3501), p.expiration.creation_round_block_hash)),
    ],
    ids=["free", "a wei more", "face value", "win prob", "expiry", "seed", "round"],
)
async def test_commitment__anything_but_what_was_quoted__is_refused(paid, forge):
    await refused(paid, forge(paying(paid)), WRONG_COMMITMENT)


async def test_commitment__price_not_in_lowest_terms__is_the_same_price(paid):
    payment = paying(paid)
    response = await post(paid, replace(payment, price_per_unit=2400, pixels_per_unit=2))
    assert response.status_code == 200


async def test_expiration_params__left_out__is_an_answer_and_not_a_crash(paid):
    message = payment_to_proto(paying(paid))
    message.ClearField("expiration_params")
    await refused(paid, paying(paid), WRONG_COMMITMENT, header=base64.b64encode(message.SerializeToString()).decode())


async def test_ticket__signature_of_somebody_else__is_refused_and_what_came_before_stays(paid):
    payment = paying(paid, [1, 2, 3])
    broken = replace(payment.tickets[1], signature=b"\1" * 65)
    response = await post(paid, replace(payment, tickets=(payment.tickets[0], broken, payment.tickets[2])))
    assert (response.status_code, response.text) == (400, "invalid ticket signature\n")
    assert paid.payments.snapshot().received.count == 1


async def test_ticket__nonce_used__is_refused_with_sender_and_nonce(paid):
    assert (await post(paid, paying(paid, [1, 2]), path="payment")).status_code == 200
    response = await post(paid, paying(paid, [2]))
    text = f"invalid ticket senderNonce: already seen sender={GATEWAY} nonce=2\n"
    assert (response.status_code, response.text) == (400, text)


async def test_ticket__more_than_six_hundred_for_one_commitment__are_refused(paid):
    assert (await post(paid, paying(paid, range(1, 601)), path="payment")).status_code == 200
    response = await post(paid, paying(paid, [601]))
    text = f"invalid ticket senderNonce: too many values sender={GATEWAY} nonce=601\n"
    assert (response.status_code, response.text) == (400, text)


async def test_ticket__parameters_expired__is_refused(paid):
    paid.chain.move(l1_block=paid.told.ticket_params.expiration_block)
    await refused(paid, paying(paid), "TicketParams expired")


async def test_ticket__price_moved_since_the_quote__is_taken_until_its_parameters_expire(paid):
    paid.payments.set_prices(replace(paid.payments._prices, video=Fraction(2000)))
    assert (await post(paid, paying(paid))).status_code == 200


async def test_winner__in_a_refused_payment__is_kept(paid):
    quote, nonce = await find_winner(paid.payments, None)
    paid.chain.move(l1_block=quote.ticket_params.expiration_block)
    response = await post(paid, pay(quote, [nonce]))
    assert (response.status_code, response.text) == (400, "TicketParams expired\n")
    assert paid.payments.snapshot().won.count == 1


async def test_balance__below_zero_after_a_segment__next_one_needs_a_whole_ticket(paid):
    assert (await post(paid, paying(paid, [1]))).status_code == 200  # 10 gwei of work for 8
    response = await post(paid, no_tickets(), sequence=8)
    assert (response.status_code, response.text) == (400, "Insufficient balance\n")
    response = await post(paid, paying(paid, [2]), sequence=9)
    assert (response.status_code, response.text) == (400, "Insufficient balance\n")
    assert (await post(paid, paying(paid, [3]), sequence=10)).status_code == 200


async def test_ticketless_payment__claims_that_work_is_free__the_sessions_price_is_charged(paid):
    assert (await post(paid, paying(paid))).status_code == 200
    before = paid.payments.snapshot().credit
    assert (await post(paid, no_tickets(Fraction(0)), sequence=8)).status_code == 200
    fee = before - paid.payments.snapshot().credit
    assert fee == 1200 * (426 * 240 + 256 * 144) * 60
    outcome = await paid.segment(
        SOURCE, work_headers(credentials_for(paid.told.auth_token, SOURCE, sequence=9), no_tickets(Fraction(0)))
    )
    assert outcome.info.price == 1200  # never advertised as 0


async def test_session__by_its_token_and_not_by_its_manifest(paid):
    """Credit for a manifest (POST /payment) is none for the stream, and a new token begins without."""
    assert (await post(paid, paying(paid, [1, 2, 3]), path="payment")).status_code == 200
    response = await post(paid, no_tickets())
    assert (response.status_code, response.text) == (400, "Insufficient balance\n")
    assert (await post(paid, paying(paid, range(4, 60)))).status_code == 200
    paid.told = replace(paid.told, auth_token=(await paid.info()).auth_token)
    response = await post(paid, no_tickets(), sequence=8)
    assert (response.status_code, response.text) == (400, "Insufficient balance\n")


@pytest.mark.parametrize("header", ["", None])
@pytest.mark.parametrize("path", ["segment", "payment"])
async def test_payment_header__empty_or_missing__is_no_payment(serve, paid, path, header):
    free = await serve(payments=FreePayments(), transcoder=RecordingTranscoder())
    for orchestrator, status, text in ((free, 200, None), (paid, 403, "ErrSegSig\n")):
        token = (await orchestrator.info()).auth_token
        headers = work_headers(credentials_for(token, SOURCE))
        del headers["Livepeer-Payment"]
        if header is not None:
            headers["Livepeer-Payment"] = header
        response = await orchestrator.http.post(f"{orchestrator.uri}/{path}", content=SOURCE, headers=headers)
        assert response.status_code == status
        assert text is None or response.text == text


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("not base64!", "base64 decode error: "),
        ("AAA", "base64 decode error: "),
        ("_-8=", "base64 decode error: "),
        (base64.b64encode(b"\xff\xff\xff").decode(), "protobuf unmarshal error: "),
        (base64.b64encode(b"\x0a\x28" + b"\x12\x26" + b"\1" * 38).decode(), "protobuf unmarshal error: "),
    ],
    ids=["no base64", "unpadded", "url alphabet", "no protobuf", "number of 38 bytes"],
)
@pytest.mark.parametrize("path", ["segment", "payment"])
async def test_payment_header__cannot_be_read__is_402(paid, path, header, text):
    response = await post(paid, paying(paid), path=path, header=header)
    assert response.status_code == 402
    assert response.text.startswith(text)
    assert response.text.endswith("\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


async def test_payment_header__unknown_fields__are_ignored(paid):
    raw = base64.b64decode(payment_to_header(paying(paid))) + b"\x9a\x06\x03new"
    assert (await post(paid, paying(paid), header=base64.b64encode(raw).decode())).status_code == 200
