"""What a running session pays does not move with gas, feed or the operator's prices."""

from fractions import Fraction

import pytest

from livefleet.kernel import SessionId, Wei
from livefleet.payments import SteadyGas
from livefleet.spec import TicketSettings
from tests.builders.payments import (
    ETH,
    GATEWAY,
    OTHER,
    REDEEM_GAS,
    HandClock,
    ToldChain,
    a_desk,
    a_sender,
    no_tickets,
    pay,
    some_prices,
)

pytestmark = pytest.mark.component

SESSION, NEXT = SessionId("aabbccdd"), SessionId("eeff0011")
ADJUSTING = some_prices(auto_adjust=True)
SMALL_FLOAT = a_sender(
    reserve_remaining=Wei(ETH // 10)
)  # a share of 1e16 wei bounds face values, so gas shows in prices


async def begin(payments, session=SESSION, sender=GATEWAY):
    """A session whose price is bound by a ticket."""
    quote = await payments.quote(sender)
    await payments.receive(pay(quote, [1]), session)
    return quote.price


async def test_quote__gas_moves__running_session_keeps_its_price(tmp_path):
    async with a_desk(tmp_path / "s", chain=ToldChain(sender=SMALL_FLOAT), prices=ADJUSTING) as (payments, _, chain, _):
        price = await begin(payments)
        chain.move(gas_price=Wei(8 * 10**8))

        assert (await payments.quote(GATEWAY, session=SESSION)).price == price
        assert (await payments.quote(GATEWAY)).price > price
        assert payments.debit(no_tickets(price), SESSION, 1000) == 1000 * price


@pytest.mark.parametrize("factor", [Fraction(1, 10), Fraction(3, 2), Fraction(10)])
async def test_quote__feed_or_operator_move_prices__running_session_keeps_its_price(tmp_path, factor):
    async with a_desk(tmp_path / "s", prices=ADJUSTING) as (payments, _, _, _):
        price = await begin(payments)
        payments.set_prices(some_prices(video=1200 * factor, auto_adjust=True))
        fresh = (await payments.quote(GATEWAY)).price

        assert (await payments.quote(GATEWAY, session=SESSION)).price == price
        assert fresh == int(1212 * factor * 1000) / Fraction(1000)
        assert payments.debit(no_tickets(price), SESSION, 1000) == 1000 * price
        assert payments.debit(no_tickets(fresh), NEXT, 1000) == 1000 * 1200 * factor


async def test_quote__prices_move_again_and_again__session_is_measured_by_those_it_began_with(tmp_path):
    async with a_desk(tmp_path / "s", prices=ADJUSTING) as (payments, _, _, _):
        price = await begin(payments)
        for video in (5000, 20_000, 90_000):
            payments.set_prices(some_prices(video=Fraction(video)))

        assert (await payments.quote(GATEWAY, session=SESSION)).price == price


async def test_set_prices__session_went_idle__is_forgotten_with_its_prices(tmp_path):
    clock = HandClock()
    async with a_desk(tmp_path / "s", prices=ADJUSTING, clock=clock) as (payments, _, _, _):
        await begin(payments)
        payments.set_prices(some_prices(video=Fraction(9000)))
        clock.time += 601
        payments.clean()

        assert (await payments.quote(GATEWAY, session=SESSION)).price == 9000
        assert not payments._began_with


async def test_quote__steady_gas__spike_moves_neither_price_nor_face_value(tmp_path):
    clock, chain = HandClock(), ToldChain(sender=SMALL_FLOAT)
    gas = SteadyGas(chain.head().gas_price, window_s=600, clock=clock)
    async with a_desk(
        tmp_path / "s", chain=chain, prices=ADJUSTING, clock=clock, gas_price=gas.price,
        ticket=TicketSettings(expected_value=8 * 10**9),
    ) as (payments, _, _, _):  # fmt: skip
        clock.time += 600
        before = await payments.quote(GATEWAY)
        for price in (2 * 10**10, 9 * 10**9, 10**8):
            clock.time += 12
            chain.move(gas_price=Wei(price))
            gas.observe(Wei(price))
            quote = await payments.quote(GATEWAY)
            assert quote.price == before.price
            assert quote.ticket_params.face_value == before.ticket_params.face_value


async def test_capability_prices__gateway_with_its_own__is_told_that(tmp_path):
    model = ("text-to-image", "tiny")
    prices = some_prices(models={model: Fraction(9)}, gateway_models={(GATEWAY.lower(), *model): Fraction(4)})
    async with a_desk(tmp_path / "s", prices=prices) as (payments, _, _, _):
        assert payments.capability_prices(GATEWAY) == ((*model, 4),)
        assert payments.capability_prices(OTHER) == ((*model, 9),)
        assert (await payments.quote(GATEWAY, models=[model])).price == 4


def test_builder__redeem_gas__is_what_face_values_here_stand_on():
    assert 100 * REDEEM_GAS * 10**8 > 10**16  # so SMALL_FLOAT bounds them
