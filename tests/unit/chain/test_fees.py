from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain import SpendLimit
from livefleet.chain.fees import Fees, first_fees, replacement_fees
from livefleet.kernel import Wei

pytestmark = pytest.mark.unit

_FEE = st.integers(min_value=0, max_value=10**13)
_CEILING = st.none() | st.integers(min_value=0, max_value=10**13)


@given(base_fee=_FEE, tip=_FEE, ceiling=_CEILING)
def test_first_fees__any_market__stay_under_the_ceiling_and_cover_the_price_of_now(base_fee, tip, ceiling):
    fees = first_fees(base_fee=Wei(base_fee), tip=Wei(tip), ceiling=ceiling)
    if ceiling is not None and base_fee > ceiling:
        assert fees is None
    else:
        assert fees is not None
        assert fees.max_fee >= base_fee + fees.tip
        assert 0 <= fees.tip <= tip
        assert ceiling is None or fees.max_fee <= ceiling
        assert fees.tip == tip or fees.tip == ceiling - base_fee


@given(max_fee=_FEE, tip=_FEE, base_fee=_FEE, market_tip=_FEE, ceiling=_CEILING)
def test_replacement_fees__any_market__raise_both_by_a_tenth_or_give_up(max_fee, tip, base_fee, market_tip, ceiling):
    before = Fees(Wei(max(max_fee, tip)), Wei(tip))
    after = replacement_fees(before, base_fee=Wei(base_fee), tip=Wei(market_tip), ceiling=ceiling)
    if after is None:
        assert ceiling is not None
        return
    assert after.max_fee * 10 >= before.max_fee * 11
    assert after.tip * 10 >= before.tip * 11
    assert after.max_fee > before.max_fee  # a node takes nothing that is the same
    assert after.tip > before.tip
    assert after.max_fee >= after.tip
    assert after.max_fee >= base_fee
    assert ceiling is None or after.max_fee <= ceiling


@given(base_fee=_FEE, tip=_FEE, ceiling=st.integers(min_value=0, max_value=10**13), steps=st.lists(_FEE, max_size=20))
def test_replacement_fees__one_after_the_other__only_rise_and_never_pass_the_ceiling(base_fee, tip, ceiling, steps):
    offers = [first_fees(base_fee=Wei(base_fee), tip=Wei(tip), ceiling=Wei(ceiling))]
    for market in steps:
        if offers[-1] is None:
            break
        offers.append(replacement_fees(offers[-1], base_fee=Wei(market), tip=Wei(tip), ceiling=Wei(ceiling)))
    made = [offer for offer in offers if offer is not None]
    assert all(offer.max_fee <= ceiling for offer in made)
    assert all(before.max_fee < after.max_fee for before, after in pairwise(made))


@given(max_gas_price=_FEE, max_cost=_FEE, gas=st.integers(min_value=21_000, max_value=10**7))
def test_price_ceiling__gas_at_that_price__costs_no_more_than_allowed(max_gas_price, max_cost, gas):
    ceiling = SpendLimit(Wei(max_gas_price), Wei(max_cost)).price_ceiling(gas)
    if ceiling is None:
        assert max_gas_price == max_cost == 0
        return
    assert not max_gas_price or ceiling <= max_gas_price
    assert not max_cost or ceiling * gas <= max_cost
    loosest = max_gas_price if max_gas_price and not max_cost else None
    assert loosest is None or ceiling == loosest


def test_price_ceiling__cost_below_a_wei_a_gas__allows_nothing_rather_than_anything():
    assert SpendLimit(max_cost=Wei(1)).price_ceiling(21_000) == 0
