from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.spec import Currency, DeclaredPrice, Prices, load_node, to_yaml
from livefleet.spec.pricing import parse_price
from tests.builders.spec import a_fleet, problems

pytestmark = pytest.mark.unit

GATEWAY = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
FLEET = """\
name: f
network: {{name: {network}, rpc: ['http://127.0.0.1:1'], controller: '{gateway}'}}
keys: {{o: {{file: key}}}}
hosts:
  a:
    address: x
    role: orchestrator
    orchestrator: {{service_uri: 'https://o.example.com:8935', key: o}}
    prices: {prices}
"""

any_price = st.builds(DeclaredPrice, st.fractions(min_value=0), st.sampled_from(Currency))


def a_spec(prices: str, network: str = "devchain") -> str:
    return FLEET.format(prices=prices, network=network, gateway=GATEWAY)


@given(any_price)
def test_declared_price__written_and_read__is_the_same(price: DeclaredPrice) -> None:
    assert parse_price(str(price)) == price
    prices = Prices(video=price, gateways={GATEWAY: price})
    assert Prices.model_validate(prices.model_dump(mode="json")) == prices


@pytest.mark.parametrize(
    "text",
    ["0.41 USD per 1e12 pixels", "0.41USD/1e12", "41 usd per 100000000000000", "0.41e-12 usd", "0.410 UsD per 1e12"],
)
def test_declared_price__dollars__are_exact(text: str) -> None:
    assert parse_price(text) == DeclaredPrice(Fraction(41, 10**14), Currency.USD)


def test_declared_price__ether__is_wei() -> None:
    assert parse_price("0.41 ETH per 1e12 pixels") == DeclaredPrice(Fraction(41 * 10**4))


@pytest.mark.parametrize("text", ["1 EUR", "usd", "$1", "-1 usd", "1 usd per 0", "٣ usd"])
def test_declared_price__nonsense__is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"price|amount"):
        parse_price(text)


def test_fleet__dollars_on_a_devchain_without_feed__are_refused_where_they_stand(tmp_path: Path) -> None:
    text = a_spec(f"{{video: 1 USD per 1e12, gateways: {{'{GATEWAY}': 2 USD}}}}")

    told = (
        "a price in USD needs a price feed, and devchain has none of its own (a); "
        "give `prices.feed.address`; `livefleet devchain` prints one"
    )
    assert problems(tmp_path, text) == [f"fleet.yaml:9:21: {told}", f"fleet.yaml:9:94: {told}"]


@pytest.mark.parametrize(
    ("prices", "network"),
    [
        ("{video: 1 USD per 1e12}", "arbitrum-one-mainnet"),
        (f"{{video: 1 USD per 1e12, feed: {{address: '{GATEWAY}'}}}}", "devchain"),
        ("{video: 1200 wei}", "devchain"),
    ],
)
def test_fleet__price_with_what_it_needs__is_right_and_reaches_the_host(
    tmp_path: Path, prices: str, network: str
) -> None:
    node = a_fleet(tmp_path, a_spec(prices, network)).node("a")

    (tmp_path / "node.yaml").write_text(to_yaml(node))
    assert load_node(tmp_path / "node.yaml") == node


def test_fleet__gateway_that_is_no_address__is_told_at_its_key(tmp_path: Path) -> None:
    assert problems(tmp_path, a_spec("{gateways: {gateway-1: 900}}")) == [
        "fleet.yaml:9:25: `gateway-1`: a gateway is named by its address, 0x and 40 hex digits"
    ]
