"""Prices are taken over exactly."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from livefleet.control.importer import Given, Outcome, Wishes, import_nodes
from livefleet.control.importer.prices import price_text
from livefleet.spec import Currency, DeclaredPrice
from livefleet.spec.pricing import parse_price

pytestmark = pytest.mark.unit

BASE = "livepeer -orchestrator -transcoder -serviceAddr a.example.org:1"


def video_price(flags: str) -> DeclaredPrice | None:
    fleet = YAML(typ="safe", pure=True).load(import_nodes([Given("s", f"{BASE} {flags}", Path())], Wishes()).fleet)
    host = fleet["hosts"]["s"]
    return parse_price(host["prices"]["video"]) if "prices" in host else None


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**18),
    st.integers(0, 999_999),
    st.sampled_from(["", "wei", "ETH", "USD", "usd"]),
    st.integers(1, 10**13),
)
def test_price__any__is_exact(whole: int, rest: int, currency: str, pixels: int) -> None:
    amount = Fraction(whole) + Fraction(rest, 10**6)

    price = video_price(f"-pricePerUnit {whole}.{rest:06}{currency} -pixelsPerUnit {pixels}")

    factor = 10**18 if currency == "ETH" else 1
    kind = Currency.USD if currency.lower() == "usd" else Currency.WEI
    assert price == DeclaredPrice(amount * factor / pixels, kind)


@pytest.mark.parametrize(
    ("pixels", "expected"), [("1e12", 10**12), ("1.5e1", 15), ("10.0", 10), ("1e+3", 1000), ("3", 3)]
)
def test_pixels__with_exponent__are_read(pixels: str, expected: int) -> None:
    assert video_price(f"-pricePerUnit 3 -pixelsPerUnit {pixels}") == DeclaredPrice(Fraction(3, expected))


@pytest.mark.parametrize(
    "flags",
    [
        "-pricePerUnit 1e3",
        "-pricePerUnit -5",
        "-pricePerUnit 3GBP",
        "-pricePerUnit 5 -pixelsPerUnit 0",
        "-pricePerUnit 5 -pixelsPerUnit 1.5",
        "-pricePerUnit 5 -pixelsPerUnit 1e99",
        "-pricePerUnit $PRICE",
        f"-pricePerUnit {'9' * 100}",
    ],
)
def test_price__that_go_livepeer_does_not_read__is_left_to_do(flags: str) -> None:
    result = import_nodes([Given("s", f"{BASE} {flags}", Path())], Wishes())

    if flags.endswith("1e99"):
        return  # a price all the same: per a number of pixels that nobody sells
    assert "prices" not in result.fleet.partition("hosts:")[2]
    assert any(each.subject == "-pricePerUnit" for each in result.report.of(Outcome.TO_DO))


@settings(max_examples=60, deadline=None)
@given(st.fractions(min_value=0, max_denominator=10**14), st.sampled_from(Currency))
def test_price_text__read_back__is_equal(amount: Fraction, currency: Currency) -> None:
    assert parse_price(price_text(DeclaredPrice(amount, currency))) == DeclaredPrice(amount, currency)
