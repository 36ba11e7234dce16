from fractions import Fraction

import pytest

from livefleet.spec import Currency, DeclaredPrice, ModelEntry, NodeSpec, Prices, declared_prices, needs_rate

pytestmark = pytest.mark.unit

GATEWAY = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
A_DOLLAR = DeclaredPrice(Fraction(1), Currency.USD)


def a_node(prices: Prices | None = None, **fields: object) -> NodeSpec:
    return NodeSpec(fleet="f", name="n", role="monitor", prices=prices or Prices(), **fields)


def a_model(model_id: str = "tiny", **fields: object) -> ModelEntry:
    return ModelEntry(pipeline="text-to-image", model_id=model_id, **fields)


def test_declared_prices__each__has_its_path() -> None:
    node = a_node(Prices(video="1", gateways={GATEWAY: "2"}), models=(a_model(price=3, gateways={GATEWAY: "4 usd"}),))

    assert {path: str(price) for path, price in declared_prices(node)} == {
        ("prices", "video"): "1",
        ("prices", "gateways", GATEWAY): "2",
        ("models", 0, "price"): "3",
        ("models", 0, "gateways", GATEWAY): "4 usd",
    }
    assert needs_rate(node)
    assert not needs_rate(a_node())
    assert needs_rate(a_node(Prices(video=A_DOLLAR)))
