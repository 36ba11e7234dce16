from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.spec import (
    Currency,
    DeclaredPrice,
    FeedSettings,
    ModelEntry,
    Monitoring,
    NodeSpec,
    Prices,
    declared_prices,
    needs_rate,
    reprice,
    restart_needed,
)

pytestmark = pytest.mark.unit

GATEWAY = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
A_DOLLAR = DeclaredPrice(Fraction(1), Currency.USD)

some_price = st.builds(DeclaredPrice, st.fractions(min_value=0), st.sampled_from(Currency))
some_prices = st.builds(
    Prices, video=some_price, gateways=st.dictionaries(st.just(GATEWAY), some_price), auto_adjust=st.booleans()
)


def a_node(prices: Prices | None = None, **fields: object) -> NodeSpec:
    return NodeSpec(fleet="f", name="n", role="monitor", prices=prices or Prices(), **fields)


def a_model(model_id: str = "tiny", **fields: object) -> ModelEntry:
    return ModelEntry(pipeline="text-to-image", model_id=model_id, **fields)


@given(some_prices, some_prices, some_price, some_price)
def test_reprice__only_prices_differ__makes_them_equal(
    here: Prices, there: Prices, one: DeclaredPrice, other: DeclaredPrice
) -> None:
    running = a_node(here, models=(a_model(price=one),))
    newer = a_node(there, models=(a_model(price=other, gateways={GATEWAY: one}),))

    assert reprice(running, newer) == newer
    assert restart_needed(running, newer) == ()


def test_restart_needed__more_than_prices__is_named_and_left_alone() -> None:
    running = a_node(Prices(video="1"), models=(a_model(price=1),))
    newer = a_node(
        Prices(video="2", feed=FeedSettings(address=GATEWAY), gas_window_s=5),
        models=(a_model(price=2, warm=False), a_model("big")),
        monitoring=Monitoring(log_level="DEBUG"),
    )

    assert sorted(restart_needed(running, newer)) == [
        "models",
        "monitoring.log_level",
        "prices.feed",
        "prices.gas_window_s",
    ]
    repriced = reprice(running, newer)
    assert repriced.prices == Prices(video="2")
    assert repriced.models == (a_model(price=2),)
    assert repriced.monitoring == running.monitoring


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
