import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain.fees import Fees, first_fees, replacement_fees
from livefleet.kernel import Wei

pytestmark = pytest.mark.unit

_FEE = st.integers(min_value=1, max_value=10**13)
_CEILING = st.integers(min_value=0, max_value=10**13)


@given(base_fee=_FEE, tip=_FEE, ceiling=_CEILING)
def test_first_fees__any_market__stay_under_the_ceiling_and_cover_the_price_of_now(base_fee, tip, ceiling):
    fees = first_fees(base_fee=Wei(base_fee), tip=Wei(tip), ceiling=Wei(ceiling))
    if ceiling and base_fee + tip > ceiling:
        assert fees is None
    else:
        assert fees is not None
        assert fees.max_fee >= base_fee + fees.tip
        assert not ceiling or fees.max_fee <= ceiling


@given(max_fee=_FEE, tip=_FEE, base_fee=_FEE, market_tip=_FEE, ceiling=_CEILING)
def test_replacement_fees__any_market__raise_both_by_a_tenth_or_give_up(max_fee, tip, base_fee, market_tip, ceiling):
    before = Fees(Wei(max(max_fee, tip)), Wei(tip))
    after = replacement_fees(before, base_fee=Wei(base_fee), tip=Wei(market_tip), ceiling=Wei(ceiling))
    if after is None:
        assert ceiling
        return
    assert after.max_fee * 10 >= before.max_fee * 11
    assert after.tip * 10 >= before.tip * 11
    assert after.max_fee >= after.tip
    assert not ceiling or after.max_fee <= ceiling
