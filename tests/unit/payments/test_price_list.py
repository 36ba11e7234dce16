"""Declared prices in wei: currencies, gateways, models, overhead."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Wei
from livefleet.payments import NoRate, PriceList
from livefleet.payments.pricing import adjusted, in_wei
from livefleet.payments.recipient import face_value
from livefleet.spec import Currency, DeclaredPrice, ModelEntry, NodeSpec, Prices, TicketSettings
from tests.builders.payments import GATEWAY, OTHER, some_prices

pytestmark = pytest.mark.unit

MODEL = ("text-to-image", "tiny")
WEI_PER_USD = Fraction(10**18, 3000)

declared = st.builds(DeclaredPrice, st.fractions(0, 10**12), st.sampled_from(Currency))
rates = st.fractions(Fraction(1, 10**6), 10**18)


def a_node(models=(), **prices):
    return NodeSpec(fleet="f", name="n", role="monitor", prices=Prices(**prices), models=models)


def test_of__dollars__are_wei_at_the_rate():
    prices = PriceList.of(a_node(video="0.41 USD per 1e12 pixels", gateways={GATEWAY: "900 wei"}), WEI_PER_USD)

    assert prices.base(OTHER) == Fraction(41, 10**14) * WEI_PER_USD
    assert prices.base(GATEWAY) == 900


def test_of__dollars_without_a_rate__is_no_list():
    with pytest.raises(NoRate):
        PriceList.of(a_node(video="1 USD per 1e12"))


def test_of__no_dollars__needs_no_rate():
    assert PriceList.of(a_node(video="0 USD", gateways={GATEWAY: 5})).base(GATEWAY) == 5


def test_of__model_with_a_gateways_own_price__is_that_everywhere():
    model = ModelEntry(
        pipeline="text-to-image", model_id="tiny", price="10 wei", gateways={GATEWAY.upper().replace("X", "x"): "7/2"}
    )
    prices = PriceList.of(a_node(models=(model,), video=1))

    assert prices.base(OTHER, [MODEL]) == 10
    assert prices.base(GATEWAY, [MODEL]) == Fraction(7, 2)
    assert prices.capability_prices(None) == ((*MODEL, 10),)
    assert prices.capability_prices(OTHER) == ((*MODEL, 10),)
    assert prices.capability_prices(GATEWAY) == ((*MODEL, 3),)


@given(declared, rates)
def test_in_wei__any_price__is_exact(price, rate):
    wei = in_wei(price, rate)

    assert isinstance(wei, Fraction)
    assert wei == price.amount * (rate if price.currency is Currency.USD else 1)


@given(declared, declared, rates)
def test_in_wei__same_currency__keeps_the_order(one, other, rate):
    if one.currency is other.currency:
        assert (in_wei(one, rate) <= in_wei(other, rate)) == (one.amount <= other.amount)


@given(st.fractions(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(10**16, 10**19))
def test_asked__gas_costs_more__is_never_less(base, gas, more, max_float):
    def asked(gas_price):
        value = face_value(TicketSettings(), redeem_gas=1_200_000, gas_price=Wei(gas_price), max_float=max_float)
        return some_prices(auto_adjust=True).asked(base, face_value=value, tx_cost=1_200_000 * gas_price)

    low, high = sorted((gas % (3 * 10**9), (gas + more) % (3 * 10**9)))
    if low:  # gas for nothing has face values of its own
        low = max(low, 10**6)
        high = max(high, low)
        assert asked(low) <= asked(high)


@given(st.fractions(0, 10**12), st.fractions(0, 10**12), st.fractions(Fraction(1, 100), 10**6))
def test_adjusted__dearer_work__is_never_cheaper(one, other, multiplier):
    low, high = sorted((one, other))

    assert adjusted(low, multiplier) <= adjusted(high, multiplier)


@given(st.fractions(Fraction(1), 10**9), st.fractions(Fraction(1, 100), 10**6), st.integers(0, 200))
def test_adjusted__overhead_limited__adds_no_more(base, multiplier, percent):
    limit = Fraction(percent, 100)
    price = adjusted(base, multiplier, max_overhead=limit)

    assert price <= base * (1 + limit)
    assert price <= adjusted(base, multiplier)


def test_asked__no_adjustment__is_the_declared_price():
    assert some_prices().asked(Fraction(1, 7), face_value=1, tx_cost=1) == Fraction(1, 7)
