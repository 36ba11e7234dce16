from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from livefleet.spec import DeclaredPrice, Prices
from livefleet.spec.pricing import parse_price, parse_wei

pytestmark = pytest.mark.unit


@given(st.fractions(min_value=0))
def test_price__written_and_read__is_the_same(price: Fraction) -> None:
    prices = Prices(video=DeclaredPrice(price))
    assert Prices.model_validate(prices.model_dump(mode="json")) == prices


@given(st.integers(0, 10**30), st.integers(1, 10**15))
def test_price__per_pixels__is_exact(amount: int, units: int) -> None:
    assert parse_price(f"{amount} wei per {units} pixels") == DeclaredPrice(Fraction(amount, units))
    assert parse_price(f"{amount}/{units}") == DeclaredPrice(Fraction(amount, units))


@given(st.integers(0, 10**24))
def test_wei__in_gwei__is_exact(wei: int) -> None:
    text = f"{wei // 10**9}.{wei % 10**9:09} gwei"
    assert parse_wei(text) == wei


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("1200 wei", Fraction(1200)),
        (1200, Fraction(1200)),
        (0.1, Fraction(1, 10)),
        ("0.41 eth per 1e12 pixels", Fraction(41 * 10**16, 10**12)),
        ("1_000 GWEI / 1e3", Fraction(10**9)),
    ],
)
def test_price__ways_to_write_it(text: object, price: Fraction) -> None:
    assert parse_price(text) == DeclaredPrice(price)


@pytest.mark.parametrize(
    "text", ["", "-1", "twelve", "1 btc", "1 wei per 0 pixels", True, "1/0", None, [1], "1e999999999"]
)
def test_price__nonsense__is_refused_as_a_value(text: object) -> None:
    with pytest.raises(ValidationError):
        Prices.model_validate({"video": text})


@pytest.mark.parametrize("text", ["0.5 wei", "1.5", True, "1 btc", "1 USD"])
def test_wei__not_whole_or_not_wei__is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not"):
        parse_wei(text) if text is not True else parse_wei("x is not")
