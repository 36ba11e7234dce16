"""Discovery with the operator's webhook: who is served, at which price, and what a bad webhook does to a node."""

import asyncio
from dataclasses import replace
from fractions import Fraction

import grpc
import pytest

from livefleet.kernel import BadInput, Refused, SystemClock
from livefleet.payments import Quote
from livefleet.wire import Capabilities, Capability
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.server.auth_webhook import AuthWebhook
from tests.builders.clock import HandClock
from tests.builders.payments import a_desk, pay, some_prices
from tests.builders.webhook import a_webhook
from tests.builders.wire import (
    GATEWAY,
    ORCHESTRATOR,
    RecordingTranscoder,
    TabPayments,
    a_payment,
    credentials_for,
    free_port,
    until,
    work_headers,
)

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000


@pytest.fixture
def hook():
    with a_webhook() as hook:
        yield hook


@pytest.fixture
def served(serve, hook):
    """An on-chain node with this webhook."""

    async def start(wait_s=20.0, **parts):
        return await serve(
            **{"payments": TabPayments(), "signer": ORCHESTRATOR, "transcoder": RecordingTranscoder()} | parts,
            auth_webhook=hook.url,
            auth_webhook_wait_s=wait_s,
        )

    return start


@pytest.fixture
async def asking(hook):
    """`async with asking() as webhook` without a node around it; the clock is the test's."""
    clock = HandClock()

    def make(**settings):
        webhook = AuthWebhook(hook.url, clock=clock, took=[].append, **{"wait_s": 20.0} | settings)
        webhook.hand = clock
        return webhook

    return make


async def refused(call, text):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNKNOWN, text)


async def test_webhook__says_yes__is_asked_for_the_checksummed_address(served, hook):
    orchestrator = await served()
    assert (await orchestrator.info()).price == TabPayments().price
    assert hook.asked == [{"id": GATEWAY.address}]
    assert hook.content_types == ["application/json"]
    assert orchestrator.server.counters.auth_webhook_ms.count == 1


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (403, b"not on my list", "not on my list"),
        (500, b"oops\n", "oops\n"),
        (204, b"", ""),
        (302, b"", ""),
        (403, "kein Zutritt für dich".encode(), "kein Zutritt für dich"),
        (403, b"x" * 70_000, "x" * 1024),
        (200, b"{not json", "the webhook's answer cannot be read"),
        (200, b'{"priceInfo": {"pricePerUnit": -5, "pixelsPerUnit": 1}}', "the webhook's answer cannot be read"),
        (200, b'{"priceInfo": {"pricePerUnit": 5, "pixelsPerUnit": 0}}', "the webhook's answer cannot be read"),
        (200, b"[" * 60_000, "the webhook's answer cannot be read"),
    ],
)
async def test_webhook__says_anything_but_a_plain_yes__is_told_to_the_gateway(served, hook, status, body, text):
    hook.status, hook.body = status, body
    orchestrator = await served()
    await refused(orchestrator.info(), f"authentication failed: {text}")


@pytest.mark.parametrize("body", [b"", b"null", b'{"priceInfo": null, "more": [1]}'])
async def test_webhook__yes_without_a_price__is_a_yes(served, hook, body):
    hook.body = body
    orchestrator = await served()
    if body == b"null":
        await refused(orchestrator.info(), "authentication failed: the webhook's answer cannot be read")
    else:
        assert (await orchestrator.info()).price == TabPayments().price


async def test_webhook__signature_and_room_come_first(served, hook):
    orchestrator = await served(max_sessions=1)
    forged = replace(orchestrator.signed(), address=bytes.fromhex(ORCHESTRATOR.address[2:]))
    await refused(orchestrator.info(forged), "Invalid orchestrator request: orchestrator req sig check failed")
    assert hook.asked == []
    token = (await orchestrator.info()).auth_token
    await orchestrator.segment(SOURCE, work_headers(credentials_for(token, SOURCE), a_payment()))
    hook.asked.clear()
    await refused(orchestrator.info(), "Invalid orchestrator request: OrchestratorCapped")
    assert hook.asked == []


async def test_price__named_by_the_webhook__is_told_where_no_capabilities_are_asked_for(served, hook):
    hook.price(7, 3)
    orchestrator = await served()
    assert (await orchestrator.info()).price == Fraction(7, 3)
    wanted = orchestrator.signed(Capabilities.of({Capability.H264}))
    assert (await orchestrator.info(wanted)).price == TabPayments().price


async def test_price__off_chain__is_present(served, hook):
    hook.price(7, 3)
    orchestrator = await served(payments=None, signer=None)
    assert (await orchestrator.info()).price == Fraction(7, 3)
    assert hook.asked == [{"id": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"}]


async def test_price__of_a_session__wins_over_the_fixed_one_and_is_what_is_charged(serve, hook, tmp_path):
    async with a_desk(tmp_path / "store.sqlite3", prices=some_prices(video=Fraction(10_000))) as (payments, *_):
        orchestrator = await serve(
            payments=payments,
            signer=ORCHESTRATOR,
            transcoder=RecordingTranscoder(),
            auth_webhook=hook.url,
            auth_webhook_wait_s=20.0,
        )
        hook.price(1200, 1)  # far below half of what the node asks by itself
        info = await orchestrator.info()
        assert info.price == 1200
        headers = work_headers(
            credentials_for(info.auth_token, SOURCE), pay(Quote(info.price, info.ticket_params), range(1, 60))
        )
        first = await orchestrator.segment(SOURCE, headers)
        assert first.info.price == 1200
        pixels = sum(r.pixels for r in first.renditions)
        snapshot = payments.snapshot()
        assert snapshot.credit == snapshot.received.value - 1200 * pixels
        # Without tickets nothing binds the price: the webhook's is charged all the same.
        bare = replace(a_payment(tickets=0), price_per_unit=1, pixels_per_unit=1)
        await orchestrator.segment(SOURCE, work_headers(credentials_for(info.auth_token, SOURCE, sequence=8), bare))
        assert payments.snapshot().credit == snapshot.received.value - 2 * 1200 * pixels


async def test_price__payment_by_itself__is_priced_with_capabilities(served, hook):
    hook.price(7, 3)
    orchestrator = await served()
    info = await orchestrator.info()
    headers = work_headers(credentials_for(info.auth_token, b"", profiles=(), capabilities=None), a_payment())
    response = await orchestrator.http.post(f"{orchestrator.uri}/payment", headers=headers)
    assert response.status_code == 200
    told = pb.PaymentResult.FromString(response.content).info.price_info
    assert Fraction(told.pricePerUnit, told.pixelsPerUnit) == TabPayments().price


async def test_webhook__hangs__is_refused_in_time_and_the_late_answer_helps_the_next(served, hook, caplog):
    orchestrator = await served(wait_s=0.3)
    hook.may_answer.clear()
    await refused(orchestrator.info(), "authentication failed: the webhook does not answer")
    await refused(orchestrator.info(), "authentication failed: the webhook does not answer")
    hook.may_answer.set()
    await until(lambda: orchestrator.server.counters.auth_webhook_ms.count)
    assert (await orchestrator.info()).auth_token is not None
    assert len(hook.asked) == 1  # one question at a time for one gateway
    assert "s3cret" not in caplog.text


async def test_webhook__away__names_no_url(serve, caplog):
    orchestrator = await serve(
        payments=TabPayments(),
        signer=ORCHESTRATOR,
        transcoder=RecordingTranscoder(),
        auth_webhook=f"http://127.0.0.1:{free_port()}/hook?token=s3cret",
    )
    await refused(orchestrator.info(), "authentication failed: the webhook does not answer")
    assert "auth_webhook.silent" in caplog.text
    assert "s3cret" not in caplog.text


async def test_webhook__host_is_no_name__is_silence():
    async with AuthWebhook(f"http://{'a' * 70}.x/s3cret", clock=SystemClock(), took=[].append, wait_s=20) as webhook:
        with pytest.raises(Refused, match="does not answer"):
            await webhook.admit(GATEWAY.address)


async def test_yes__is_believed_for_a_minute(asking, hook):
    async with asking() as webhook:
        await webhook.admit(GATEWAY.address)
        webhook.hand.time += 59
        await webhook.admit(GATEWAY.address)
        assert len(hook.asked) == 1
        webhook.hand.time += 2
        hook.price(9, 1)
        await webhook.admit(GATEWAY.address)
        assert len(hook.asked) == 2
        assert webhook.price(GATEWAY.address) == 9
    assert hook.connections == 1


async def test_no__is_believed_for_five_seconds_and_takes_the_price_away(asking, hook):
    hook.price(9, 1)
    async with asking() as webhook:
        await webhook.admit(GATEWAY.address)
        hook.status, hook.body = 403, b"no more"
        webhook.hand.time += 61
        for _ in range(2):
            with pytest.raises(Refused, match=r"^authentication failed: no more$"):
                await webhook.admit(GATEWAY.address)
        assert (len(hook.asked), webhook.price(GATEWAY.address)) == (2, None)
        hook.status, hook.body = 200, b""
        webhook.hand.time += 6
        await webhook.admit(GATEWAY.address)


async def test_webhook__silent__whoever_was_welcome_is_so_for_half_an_hour(asking, hook):
    hook.price(9, 1)
    async with asking(wait_s=0.05, give_up_s=0.1) as patient:
        while patient.price(GATEWAY.address) is None:  # a loaded machine may need a second try
            try:
                await patient.admit(GATEWAY.address)
            except Refused:
                await asyncio.sleep(0.05)
        hook.may_answer.clear()
        patient.hand.time += 1700
        await patient.admit(GATEWAY.address)
        assert patient.price(GATEWAY.address) == 9
        patient.hand.time += 101
        assert patient.price(GATEWAY.address) is None
        with pytest.raises(Refused, match="does not answer"):
            await patient.admit(GATEWAY.address)


async def test_gateways__more_than_are_kept__are_forgotten_from_the_oldest(asking, monkeypatch):
    monkeypatch.setattr("livefleet.wire.server.auth_webhook._MAX_KNOWN", 3)
    async with asking() as webhook:
        for number in range(5):
            await webhook.admit(f"0x{number:040x}")
        assert list(webhook._yes) == [f"0x{number:040x}" for number in (2, 3, 4)]


async def test_questions__too_many_at_once__are_not_asked(asking, hook):
    hook.may_answer.clear()
    async with asking(wait_s=0.2) as webhook:
        outcomes = await asyncio.gather(
            *(webhook.admit(f"0x{number:040x}") for number in range(100)), return_exceptions=True
        )
        assert all(isinstance(outcome, Refused) for outcome in outcomes)
        assert len(hook.asked) <= 32


@pytest.mark.parametrize("url", ["ftp://x/s3cret", "https:///s3cret", "http://x:99999/s3cret", "http://x/\x00s3cret"])
def test_url__no_url__is_said_without_showing_it(url):
    with pytest.raises(BadInput, match="auth_webhook") as caught:
        AuthWebhook(url, clock=SystemClock(), took=lambda _: None)
    assert "s3cret" not in str(caught.value)
