from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain import FeedAnswer, FeedUnusable, wei_per_unit

pytestmark = pytest.mark.unit


def an_answer(answer, description="ETH / USD", decimals=8, updated_at=1):
    return FeedAnswer(description, decimals, answer, updated_at)


@given(st.integers(1, 10**30), st.integers(0, 30))
def test_wei_per_unit__either_way_round__is_exact(answer, decimals):
    quote = Fraction(answer, 10**decimals)

    assert wei_per_unit(an_answer(answer, decimals=decimals), "USD") == 10**18 / quote
    assert wei_per_unit(an_answer(answer, "usd/eth", decimals), "USD") == 10**18 * quote


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (an_answer(0), "NotPositive"),
        (an_answer(-1), "NotPositive"),
        (an_answer(1, updated_at=0), "NoAnswer"),
        (an_answer(1, "ETH"), "OtherPair"),
        (an_answer(1, "ETH / USD / EUR"), "OtherPair"),
        (an_answer(1, "BTC / USD"), "OtherPair"),
        (an_answer(1, ""), "OtherPair"),
    ],
)
def test_wei_per_unit__answer_that_is_none__is_named(answer, reason):
    with pytest.raises(FeedUnusable) as caught:
        wei_per_unit(answer, "USD")
    assert caught.value.reason == reason
