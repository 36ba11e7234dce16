from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Wei
from livefleet.payments import InsufficientReserve, NoRate, PriceList, explain_price
from livefleet.payments.pricing import adjusted, fit_int64
from livefleet.spec import ModelEntry, NodeSpec, OrchestratorSettings, Prices, TicketSettings
from tests.builders.payments import GATEWAY, OTHER

pytestmark = pytest.mark.unit

MODEL = ("text-to-image", "tiny")
MODELS = (ModelEntry(pipeline="text-to-image", model_id="tiny", price="5/2", gateways={GATEWAY: "1 usd per 1e15"}),)
RATE = Fraction(10**18, 3000)


def a_node(video="1200 wei", models=(), ticket=None, **prices):
    return NodeSpec(
        fleet="f",
        name="n",
        role="orchestrator",
        orchestrator=OrchestratorSettings(service_uri="https://o:8935", ticket=ticket or TicketSettings()),
        prices=Prices(video=video, **prices),
        models=models,
    )


def explained(node=None, gas_price=10**7, **fields):
    return explain_price(node or a_node(), gas_price=Wei(gas_price), redeem_gas=1_200_000, **fields)


def test_explain__usual_price__each_step():
    found = explained()

    assert [(item.what, str(item.price), item.wei) for item in found.declared] == [("video", "1200", 1200)]
    assert (found.base, found.tx_cost, found.face_value) == (1200, 12 * 10**12, 12 * 10**14)
    assert (found.overhead, found.adjusted, found.price) == (Fraction(1, 100), 1212, 1212)
    assert found.warnings == ()
    assert found.ceiling is None


def test_explain__gateways_own_price_in_dollars__is_at_the_rate():
    node = a_node(gateways={GATEWAY.lower(): "0.41 USD per 1e12"})
    found = explained(node, sender=GATEWAY, wei_per_usd=RATE)

    (item,) = found.declared
    assert (item.path, item.wei) == (("prices", "gateways", GATEWAY.lower()), Fraction(41, 10**14) * RATE)
    assert explained(node, sender=OTHER, wei_per_usd=RATE).declared[0].path == ("prices", "video")
    with pytest.raises(NoRate):
        explained(node, sender=GATEWAY)


def test_explain__model__is_priced_and_listed_in_whole_wei():
    found = explained(a_node(models=MODELS), models=[MODEL], wei_per_usd=RATE)

    assert [(item.path, item.wei) for item in found.declared] == [(("models", 0, "price"), Fraction(5, 2))]
    assert found.capability_prices == {MODEL: 2}
    assert found.warnings == ("text-to-image tiny is listed at 2 wei, lists hold whole wei: its price is 5/2",)
    own = explained(a_node(models=MODELS), models=[MODEL], wei_per_usd=RATE, sender=GATEWAY)
    assert own.declared[0].path == ("models", 0, "gateways", GATEWAY)
    assert own.base == RATE / 10**15


def test_explain__model_without_a_price__costs_as_video():
    free = (ModelEntry(pipeline="text-to-image", model_id="tiny"),)

    assert explained(a_node(models=free), models=[MODEL]).declared[0].what == "video"


@pytest.mark.parametrize(
    ("video", "auto_adjust", "why"),
    [("0", True, "the declared price is zero"), ("0.0009 wei", True, "it is below 0.001 wei")],
)
def test_explain__free_work__is_a_warning(video, auto_adjust, why):
    (warning,) = explained(a_node(video, auto_adjust=auto_adjust)).warnings
    assert why in warning


def test_explain__tickets_that_gateways_refuse__are_warnings():
    node = a_node(ticket=TicketSettings(expected_value=4 * 10**12, max_face_value=4 * 10**12))

    first, second = explained(node, gas_price=10**6).warnings
    assert "expected value above 3000000000000 wei" in first
    assert "not above their expected value" in second


def test_explain__gateway_good_for_little__raises_the_overhead_or_is_refused():
    assert explained(max_float=12 * 10**13).overhead == Fraction(1, 10)
    assert explained(a_node(max_overhead_percent=3), max_float=12 * 10**13).price == 1236
    with pytest.raises(InsufficientReserve):
        explained(max_float=10**9)


@given(st.fractions(0, 10**9), st.integers(0, 10**10), st.fractions(Fraction(1, 100), 10**9))
def test_explain__any_ceiling__its_largest_base_price_is_taken(video, gas_price, limit):
    node = a_node(str(video))
    found = explained(node, gas_price=gas_price, ceiling=limit)
    ceiling = found.ceiling

    assert ceiling.is_met == (found.price <= limit)
    overhead = found.overhead
    assert adjusted(ceiling.largest_declared, 1 / overhead if overhead else Fraction(0)) <= limit


@given(st.fractions(0, 10**9), st.integers(0, 10**12), st.integers(10**10, 10**20), st.booleans())
def test_explain__any_price__is_what_the_price_list_asks(video, gas_price, max_float, auto_adjust):
    node = a_node(str(video), auto_adjust=auto_adjust)
    try:
        found = explained(node, gas_price=gas_price, max_float=max_float)
    except InsufficientReserve:
        return
    prices = PriceList.of(node)

    assert found.price == fit_int64(prices.asked(video, face_value=found.face_value, tx_cost=found.tx_cost))
    assert found.base <= found.adjusted + Fraction(1, 1000)
    if found.price:
        assert found.adjusted - found.base * (1 + found.overhead) <= 0


def test_explain__auth_webhook__may_name_another_price_of_video():
    settings = OrchestratorSettings(service_uri="https://o:8935", auth_webhook="https://auth.example.com")
    node = a_node(models=(ModelEntry(pipeline="text-to-image", model_id="tiny", price="5"),))
    node = node.model_copy(update={"orchestrator": settings})
    assert explained(node).warnings[-1].startswith("orchestrator.auth_webhook may name another price")
    assert explained(node, models=[MODEL]).warnings == ()
