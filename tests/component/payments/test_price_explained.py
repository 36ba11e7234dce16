"""The explanation of a price against what is really quoted."""

from fractions import Fraction

import pytest

from livefleet.kernel import Wei
from livefleet.payments import PriceList, explain_price
from livefleet.spec import ModelEntry, NodeSpec, OrchestratorSettings, Prices, TicketSettings
from tests.builders.payments import ETH, GATEWAY, OTHER, REDEEM_GAS, ToldChain, a_desk, a_head, a_sender

pytestmark = pytest.mark.component

MODEL = ("text-to-image", "tiny")
RATE = Fraction(10**18 * 10**8, 351234567891)


def a_node(**prices):
    return NodeSpec(
        fleet="f",
        name="n",
        role="orchestrator",
        orchestrator=OrchestratorSettings(service_uri="https://o:8935"),
        prices=Prices(**({"video": "0.41 USD per 1e12", "gateways": {OTHER: "900 wei"}} | prices)),
        models=(
            ModelEntry(pipeline="text-to-image", model_id="tiny", price="7/3", gateways={OTHER: "2 usd per 1e15"}),
        ),
    )


@pytest.mark.parametrize("models", [(), (MODEL,)])
@pytest.mark.parametrize("sender", [GATEWAY, OTHER])
@pytest.mark.parametrize(
    ("gas_price", "reserve", "prices"),
    [
        (10**7, ETH, {}),
        (10**8, ETH // 10, {}),
        (10**8, ETH // 10, {"max_overhead_percent": 0}),
        (0, ETH, {}),
        (10**7, ETH, {"auto_adjust": False}),
    ],
)
async def test_explain__any_gateway_and_work__is_what_is_quoted(tmp_path, models, sender, gas_price, reserve, prices):
    node = a_node(**prices)
    chain = ToldChain(a_head(gas_price=Wei(gas_price)), a_sender(reserve_remaining=Wei(reserve)))
    async with a_desk(tmp_path / "s", chain=chain, prices=PriceList.of(node, RATE), ticket=TicketSettings()) as (
        payments,
        _,
        _,
        monitor,
    ):
        quote = await payments.quote(sender, models=models)
        listed = payments.capability_prices(sender)
        limit = await monitor.max_float(sender)

    found = explain_price(
        node,
        gas_price=Wei(gas_price),
        redeem_gas=REDEEM_GAS,
        wei_per_usd=RATE,
        sender=sender,
        models=models,
        max_float=limit,
    )
    assert found.price == quote.price
    assert found.face_value == quote.ticket_params.face_value
    assert tuple((*model, whole) for model, whole in found.capability_prices.items()) == tuple(listed)
    assert found.base == sum(item.wei for item in found.declared)
