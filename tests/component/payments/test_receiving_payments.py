"""Rows of the payment rules with their exact texts, over a real SQLite file."""

import asyncio
from dataclasses import replace
from fractions import Fraction

import pytest
from coincurve import PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livefleet.kernel import ZERO_ADDRESS, BlockNumber, Refused, Round, SessionId, Wei
from livefleet.payments import SenderSignature, TicketExpiration
from livefleet.payments.nonces import MAX_NONCES
from livefleet.spec import TicketSettings
from tests.builders.payments import (
    ETH,
    GATEWAY,
    ORCHESTRATOR,
    OTHER,
    VECTORS,
    HandClock,
    ToldChain,
    a_desk,
    a_sender,
    find_winner,
    no_tickets,
    pay,
    some_prices,
)

pytestmark = pytest.mark.component

SESSION = SessionId("aabbccdd")
EVEN_ODDS = TicketSettings(expected_value=6 * 10**15)  # face value is 12e15 at the builder's gas price


@pytest.fixture
async def desk(tmp_path):
    async with a_desk(tmp_path / "store.sqlite3") as parts:
        yield parts


async def refused(awaitable):
    with pytest.raises(Refused) as caught:
        await awaitable
    assert caught.value.status == 400
    return caught.value.text


def amount(payments, session=SESSION):
    return payments._balances.amount((GATEWAY, session))


# Good payments -------------------------------------------------------------------------------------------------------


async def test_receive__good_tickets__are_credited_exactly(desk):
    payments, store, _, _ = desk
    quote = await payments.quote(GATEWAY, session=SESSION)

    await payments.receive(pay(quote, [1, 2, 3]), SESSION)

    value = Fraction(quote.ticket_params.face_value * quote.ticket_params.win_prob, 2**256 - 1)
    assert amount(payments) == 3 * value
    assert payments.snapshot().received.count == 3
    assert store.totals.received.value == 3 * value


@pytest.mark.parametrize("vector", VECTORS["fees"])
async def test_debit__vector__takes_the_fee_exactly(tmp_path, vector):
    async with a_desk(tmp_path / "s", prices=some_prices(video=Fraction(vector["price"]))) as (payments, _, _, _):
        quote = await payments.quote(GATEWAY, session=SESSION)
        payment = pay(quote, [1])
        await payments.receive(payment, SESSION)
        before = amount(payments)

        assert payments.debit(payment, SESSION, vector["pixels"]) == Fraction(vector["fee"])
        assert amount(payments) == before - Fraction(vector["fee"])


async def test_receive__two_payments_at_once_with_one_nonce__credit_it_once(desk):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY, session=SESSION)

    answers = await asyncio.gather(
        *(payments.receive(pay(quote, [1]), SESSION) for _ in range(4)), return_exceptions=True
    )

    assert sum(answer is None for answer in answers) == 1
    assert amount(payments) == payments.snapshot().received.value
    assert payments.snapshot().received.count == 1


async def test_receive__caller_goes_away__credit_and_disk_still_agree(tmp_path):
    async with a_desk(tmp_path / "s") as (payments, _, _, _):
        quote = await payments.quote(GATEWAY, session=SESSION)
        task = asyncio.ensure_future(payments.receive(pay(quote, [1]), SESSION))
        for _ in range(4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await payments.receive(pay(quote, [2]), SESSION)
        credit = amount(payments)
    async with a_desk(tmp_path / "s") as (payments, _, _, _):
        assert amount(payments) == credit


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["pay", "debit"]), st.integers(1, 5)), max_size=8))
def test_balance__any_order_of_payments_and_debits__is_conserved_through_a_restart(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("conserved") / "s"

    async def story():
        async with a_desk(path) as (payments, _, _, _):
            quote = await payments.quote(GATEWAY, session=SESSION)
            value = Fraction(quote.ticket_params.face_value * quote.ticket_params.win_prob, 2**256 - 1)
            nonce, expected = 0, Fraction(0)
            for step, number in steps:
                if step == "pay":
                    await payments.receive(pay(quote, range(nonce + 1, nonce + 1 + number)), SESSION)
                    nonce += number
                    expected += number * value
                else:
                    expected -= payments.debit(pay(quote, [1]), SESSION, number * 1000)
            assert (amount(payments) or 0) == expected
        async with a_desk(path) as (payments, _, _, _):
            assert (amount(payments) or 0) == expected

    asyncio.run(story())


# Rows of the rules ---------------------------------------------------------------------------------------------------


async def test_receive__sender_missing__is_refused(desk):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY)

    text = await refused(
        payments.receive(pay(quote, [1], sender=GATEWAY) and replace(pay(quote, [1]), sender=None), SESSION)
    )

    assert text.startswith("Could not find Sender for payment: ")


async def test_receive__no_tickets__is_accepted_without_credit_or_fixed_price(desk):
    payments, _, _, _ = desk

    await payments.receive(no_tickets(), SESSION)

    assert amount(payments) is None
    assert payments._balances.fixed_price((GATEWAY, SESSION)) is None


async def test_receive__recipient_inactive__is_refused(desk):
    payments, _, chain, _ = desk
    quote = await payments.quote(GATEWAY)
    chain.active.clear()

    assert await refused(payments.receive(pay(quote, [1]), SESSION)) == (
        f"orchestrator {ORCHESTRATOR} is inactive in round 3500, cannot process payments"
    )


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"pixels_per_unit": 0}, "pixels per unit is 0"),
        ({"price_per_unit": None, "pixels_per_unit": 0}, "expected price is nil"),
        ({"price_per_unit": -1200}, "price is negative"),
        ({"pixels_per_unit": -1}, "price is negative"),
    ],
)
@pytest.mark.parametrize("with_tickets", [True, False])
async def test_receive__bad_expected_price__is_refused(desk, fields, what, with_tickets):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY)
    payment = pay(quote, [1]) if with_tickets else no_tickets()

    assert await refused(payments.receive(replace(payment, **fields), SESSION)) == (
        f'invalid expected price sent with payment err="{what}"'
    )
    assert amount(payments) is None


async def test_receive__sender_unlocks_soon__is_refused(desk):
    payments, _, chain, _ = desk
    quote = await payments.quote(GATEWAY)
    chain.sender = a_sender(withdraw_round=Round(3501))

    assert await refused(payments.receive(pay(quote, [1]), SESSION)) == (
        f"deposit and reserve for sender {GATEWAY} is set to unlock soon"
    )


async def test_receive__other_recipient__is_refused(desk):
    payments, _, chain, _ = desk
    quote = await payments.quote(GATEWAY)
    chain.active.add(OTHER)
    foreign = replace(quote, ticket_params=replace(quote.ticket_params, recipient=OTHER))

    assert await refused(payments.receive(pay(foreign, [1]), SESSION)) == "invalid ticket recipient"


async def test_receive__zero_sender__is_refused(desk):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY)

    assert await refused(payments.receive(pay(quote, [1], sender=ZERO_ADDRESS), SESSION)) == "invalid ticket sender"


@pytest.mark.parametrize(
    "forge",
    [
        lambda p: replace(p, ticket_params=replace(p.ticket_params, win_prob=p.ticket_params.win_prob - 1)),
        lambda p: replace(p, ticket_params=replace(p.ticket_params, face_value=p.ticket_params.face_value + 1)),
        lambda p: replace(p, ticket_params=replace(p.ticket_params, expiration_block=22_000_000)),
        lambda p: replace(p, ticket_params=replace(p.ticket_params, seed=5)),
        lambda p: replace(p, price_per_unit=1199),
        lambda p: replace(p, sender=OTHER),
        lambda p: replace(p, expiration=TicketExpiration()),  # the header had none
    ],
)
async def test_receive__anything_but_what_was_quoted__is_refused(desk, forge):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY)

    text = await refused(payments.receive(forge(pay(quote, [1])), SESSION))

    assert text == "invalid recipientRand for ticket recipientRandHash"
    assert payments.snapshot().balances == 0


async def test_receive__forged_ticket__is_refused_and_earns_nothing(desk):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY)

    forged = pay(quote, [1], key=PrivateKey(b"\x33" * 32))

    assert await refused(payments.receive(forged, SESSION)) == "invalid ticket signature"
    assert payments.snapshot().received.count == 0
    assert payments._balances.fixed_price((GATEWAY, SESSION)) is None


async def test_receive__bad_ticket_in_the_middle__keeps_earlier_credit_only(desk):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY)
    payment = pay(quote, [1, 2, 3])
    forged = replace(payment, tickets=(payment.tickets[0], SenderSignature(2, b"\x01" * 65), payment.tickets[2]))

    assert await refused(payments.receive(forged, SESSION)) == "invalid ticket signature"
    assert payments.snapshot().received.count == 1


async def test_receive__replayed_nonce__is_refused(desk):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY)
    await payments.receive(pay(quote, [1]), SESSION)
    before = amount(payments)

    text = f"invalid ticket senderNonce: already seen sender={GATEWAY} nonce=1"
    assert await refused(payments.receive(pay(quote, [1]), SESSION)) == text
    assert await refused(payments.receive(pay(quote, [1]), SessionId("other"))) == text
    assert amount(payments) == before
    assert amount(payments, "other") is None


async def test_receive__more_nonces_than_allowed__is_refused_after_crediting_the_rest(desk):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY)

    text = await refused(payments.receive(pay(quote, range(1, MAX_NONCES + 2)), SESSION))

    assert text == f"invalid ticket senderNonce: too many values sender={GATEWAY} nonce={MAX_NONCES + 1}"
    assert payments.snapshot().received.count == MAX_NONCES


async def test_receive__parameters_expired__is_refused(desk):
    payments, _, chain, _ = desk
    quote = await payments.quote(GATEWAY)
    chain.move(l1_block=BlockNumber(21_000_040))

    assert await refused(payments.receive(pay(quote, [1]), SESSION)) == "TicketParams expired"
    chain.move(l1_block=BlockNumber(21_000_039))
    await payments.receive(pay(quote, [1]), SESSION)


@pytest.mark.parametrize("why", ["replayed", "expired"])
async def test_receive__winner_that_is_not_credited__is_kept_for_redemption(tmp_path, why):
    async with a_desk(tmp_path / "s", ticket=EVEN_ODDS) as (payments, store, chain, _):
        quote, loser = await find_winner(payments, SESSION, wins=False)
        await payments.receive(pay(quote, [loser]), SESSION)
        quote, winner = await find_winner(payments, SESSION)
        if why == "expired":
            chain.move(l1_block=BlockNumber(quote.ticket_params.expiration_block))
            text = "TicketParams expired"
        else:
            payments._nonces.reserve(quote.ticket_params.recipient_rand_hash, 21_000_040, GATEWAY, winner)
            text = f"invalid ticket senderNonce: already seen sender={GATEWAY} nonce={winner}"

        assert await refused(payments.receive(pay(quote, [winner]), SESSION)) == text
        assert [t.winner.ticket.sender_nonce for t in await store.pending()] == [winner]
        assert payments.snapshot().received.count == 1


# Weak spots of the reference -----------------------------------------------------------------------------------------


async def test_require_balance__ticketless_header_says_free__is_refused(desk):
    payments, _, _, _ = desk
    free = no_tickets(Fraction(0))
    await payments.receive(free, SESSION)

    with pytest.raises(Refused, match=r"^Insufficient balance$"):
        payments.require_balance(free, SESSION)


async def test_debit__ticketless_header_says_cheap__the_session_price_is_charged(desk):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY, session=SESSION)
    await payments.receive(pay(quote, [1]), SESSION)

    assert payments.debit(no_tickets(Fraction(1, 10**6)), SESSION, 10) == 12_000


async def test_fixed_price__first_payment_of_a_new_sender__sets_it_and_ticketless_ones_keep_it(desk):
    payments, _, _, _ = desk
    quote = await payments.quote(GATEWAY, session=SESSION)
    await payments.receive(pay(quote, [1]), SESSION)
    await payments.receive(no_tickets(Fraction(0)), SESSION)

    assert (await payments.quote(GATEWAY, session=SESSION)).price == 1200
    assert payments.fixed_price(GATEWAY, SESSION) == 1200
    assert payments.fixed_price(OTHER, SESSION) is None


async def test_quote__price_that_the_caller_knows__is_quoted_as_it_is_and_can_be_paid(tmp_path):
    async with a_desk(tmp_path / "s", prices=some_prices(auto_adjust=True)) as (payments, _, _, _):
        quote = await payments.quote(GATEWAY, session=SESSION, price=Fraction(7, 3))
        assert quote.price == Fraction(7, 3)
        await payments.receive(pay(quote, [1]), SESSION)
        assert payments.fixed_price(GATEWAY, SESSION) == Fraction(7, 3)
        free = await payments.quote(GATEWAY, price=Fraction(0))
        assert (free.price, free.ticket_params.face_value) == (0, 0)


async def test_fixed_price__price_rises_a_little__session_keeps_its_own(tmp_path):
    async with a_desk(tmp_path / "s") as (payments, _, _, _):
        await payments.receive(pay(await payments.quote(GATEWAY), [1]), SESSION)
    async with a_desk(tmp_path / "s", prices=some_prices(video=Fraction(2000))) as (payments, _, _, _):
        assert (await payments.quote(GATEWAY, session=SESSION)).price == 1200
        assert (await payments.quote(GATEWAY)).price == 2000


async def test_cross_quote__tickets_of_cheap_work__do_not_pay_for_dear_work(tmp_path):
    model = ("text-to-image", "tiny")
    prices = some_prices(video=Fraction(1), models={model: Fraction(10**6)})
    session = SessionId("27_tiny")
    async with a_desk(tmp_path / "s", prices=prices) as (payments, _, _, _):
        cheap = pay(await payments.quote(GATEWAY), [1])
        await payments.receive(cheap, session)

        asked = (await payments.quote(GATEWAY, session=session, models=[model])).price
        assert asked == 10**6
        assert payments.debit(cheap, session, 1, price=asked) == 10**6


async def test_cross_quote__tickets_of_free_work__buy_nothing(tmp_path):
    model = ("text-to-image", "tiny")
    prices = some_prices(video=Fraction(0), models={model: Fraction(10**6)})
    session = SessionId("27_tiny")
    async with a_desk(tmp_path / "s", prices=prices) as (payments, _, _, _):
        free = pay(await payments.quote(GATEWAY), [1, 2])
        await payments.receive(free, session)
        payments.require_balance(free, SESSION)

        asked = (await payments.quote(GATEWAY, session=session, models=[model])).price
        with pytest.raises(Refused, match=r"^Insufficient balance$"):
            payments.require_balance(free, session, price=asked)


async def test_require_balance__less_than_one_ticket_left__is_refused(desk):
    payments, _, _, _ = desk
    payment = pay(await payments.quote(GATEWAY, session=SESSION), [1])
    await payments.receive(payment, SESSION)
    payments.require_balance(payment, SESSION)

    payments.debit(payment, SESSION, 10_000)

    with pytest.raises(Refused, match=r"^Insufficient balance$"):
        payments.require_balance(payment, SESSION)
    assert payments.snapshot().refused == {"InsufficientBalance": 1}


# Quotes --------------------------------------------------------------------------------------------------------------


async def test_quote__small_reserve__is_refused(tmp_path):
    chain = ToldChain(sender=a_sender(reserve_remaining=Wei(10**10)))
    async with a_desk(tmp_path / "s", chain=chain) as (payments, _, _, _):
        assert await refused(payments.quote(GATEWAY)) == "insufficient sender reserve"
        assert await refused(payments.quote(None)) == "insufficient sender reserve"


async def test_quote__work_for_free__asks_nothing_of_the_reserve(tmp_path):
    chain = ToldChain(sender=a_sender(reserve_remaining=Wei(0)))
    async with a_desk(tmp_path / "s", chain=chain, prices=some_prices(video=Fraction(0), auto_adjust=True)) as (
        payments,
        _,
        _,
        _,
    ):
        quote = await payments.quote(GATEWAY)

        assert (quote.price, quote.ticket_params.face_value, quote.ticket_params.win_prob) == (0, 0, 0)


async def test_quote__auto_adjust__adds_what_redemption_takes(tmp_path):
    async with a_desk(tmp_path / "s", prices=some_prices(auto_adjust=True)) as (payments, _, _, monitor):
        assert (await payments.quote(GATEWAY)).price == 1212
        with monitor.redeeming(GATEWAY, Wei(ETH // 2)):  # the deposit covers it only twice
            assert await refused(payments.quote(GATEWAY)) == "insufficient sender reserve"


async def test_clean__idle_session__loses_its_credit_on_disk_too(tmp_path):
    clock = HandClock()
    async with a_desk(tmp_path / "s", clock=clock) as (payments, _, _, _):
        await payments.receive(pay(await payments.quote(GATEWAY), [1]), SESSION)
        clock.time += 601
        payments.clean()
        assert amount(payments) is None
    async with a_desk(tmp_path / "s", clock=clock) as (payments, _, _, _):
        assert payments.snapshot().balances == 0
