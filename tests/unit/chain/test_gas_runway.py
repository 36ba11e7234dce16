"""How long a key's ETH lasts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain.gas_balance import WINDOW_S, runway_s, spent_lately

pytestmark = pytest.mark.unit

DAY_S = 86_400.0


def test_runway__spent_over_three_days__lasts_in_proportion():
    assert runway_s(balance=100, spent=30, over_s=3 * DAY_S) == pytest.approx(10 * DAY_S)


def test_runway__one_transaction_an_hour_ago__counts_as_a_days_spending():
    assert runway_s(balance=100, spent=10, over_s=3_600.0) == pytest.approx(10 * DAY_S)


def test_runway__nothing_spent__is_unknown():
    assert runway_s(balance=100, spent=0, over_s=WINDOW_S) is None


def test_runway__nothing_left__is_none_at_all():
    assert runway_s(balance=0, spent=10, over_s=DAY_S) == 0


@given(st.lists(st.tuples(st.floats(0, 2 * WINDOW_S), st.integers(0, 10**18)), max_size=30))
def test_spent_lately__whatever_happened__counts_the_last_seven_days_exactly(expenses):
    spent, over_s = spent_lately(expenses, 2 * WINDOW_S)

    assert spent == sum(wei for at, wei in expenses if at > WINDOW_S)
    assert 0 <= over_s <= WINDOW_S
