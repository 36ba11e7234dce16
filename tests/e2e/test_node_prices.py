"""Prices of a whole agent: in dollars by the chain's feed, changed while it runs."""

import asyncio
import signal
from fractions import Fraction

import pytest
from ruamel.yaml import YAML

from livefleet.chain import Call
from livefleet.chain.abi import Function
from livefleet.kernel import Wei
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer
from livefleet.wire.gateway.discovery import get_orchestrator
from tests.builders.paid_nodes import GATEWAY, a_paid_node
from tests.devchain.accounts import DEPLOYER, dev_signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

STRANGER = 5  # account of the public test mnemonic
SET_ANSWER = Function.parse("setAnswer(int256 answer)")


def priced(node, video, usd_per_eth):
    """Wait until the node quotes `video` dollars a pixel at this worth of ETH."""
    wei = str(Fraction(video) * 10**18 / usd_per_eth)
    node.agent.until(f"price {wei}", lambda s: str(s.get("payments", {}).get("price_wei_per_pixel")) == wei)


def write(node, **changes):
    """Change node.yaml and tell the agent."""
    yaml = YAML(typ="safe")
    data = yaml.load(node.agent.node_yaml)
    data.update(changes)
    with node.agent.node_yaml.open("w") as file:
        yaml.dump(data, file)
    node.agent.process.send_signal(signal.SIGHUP)


async def say(node, usd):
    """The feed's next answer."""
    call = Call(to=node.chain.info.price_feed, data=SET_ANSWER.encode(usd * 10**8))
    await node.chain.sender.send(dev_signer(DEPLOYER), call)
    await node.chain.mine()


async def test_prices__in_dollars__follow_the_feed_and_node_yaml_without_a_restart(tmp_path):
    async with a_paid_node(tmp_path, start=False) as node:
        await say(node, 3000)
        prices = {"video": "2 USD per 1e9 pixels", "feed": {"address": node.chain.info.price_feed, "poll_s": 0.1}}
        yaml = YAML(typ="safe")
        data = yaml.load(node.agent.node_yaml) | {"prices": prices}
        with node.agent.node_yaml.open("w") as file:
            yaml.dump(data, file)
        await asyncio.to_thread(node.agent.start)
        pid = node.agent.process.pid

        await asyncio.to_thread(priced, node, "2/1000000000", 3000)
        await say(node, 3300)
        await asyncio.to_thread(priced, node, "2/1000000000", 3300)
        await say(node, 0)
        condition = await asyncio.to_thread(node.agent.until_condition, "PriceFeedFresh", "NotPositive")
        assert "the last good rate is used: 1 ETH = 3300.00 USD" in condition["message"]

        before = node.agent.status()["digest"]
        write(node, prices=prices | {"video": "3 USD per 1e9 pixels"})
        await asyncio.to_thread(priced, node, "3/1000000000", 3300)
        await asyncio.to_thread(node.agent.until_condition, "SpecCurrent", "Taken")
        assert node.agent.status()["digest"] != before

        write(node, prices=prices | {"video": "4 USD per 1e9"}, service={"stop_timeout_s": 77})
        await asyncio.to_thread(priced, node, "4/1000000000", 3300)
        condition = await asyncio.to_thread(node.agent.until_condition, "SpecCurrent", "NeedsRestart")
        assert condition["message"] == "all else is as declared; restart the node for service.stop_timeout_s"

        write(node, prices={"video": "much"})
        condition = await asyncio.to_thread(node.agent.until_condition, "SpecCurrent", "NotTaken")
        assert "'much' is not an amount" in condition["message"]
        await asyncio.to_thread(priced, node, "4/1000000000", 3300)
        assert node.agent.get("/readyz")[0] == 200
        assert node.agent.process.pid == pid
        assert node.agent.process.poll() is None


async def test_prices__of_gateways_and_models__follow_node_yaml_without_a_restart(tmp_path):
    secret = tmp_path / "node/var/lib/livefleet/keys/workers"
    secret.parent.mkdir(parents=True)
    secret.write_text("a test's secret")
    model = {"pipeline": "text-to-image", "model_id": "tiny", "device": "workers"}

    def prices(video, ours, of_model, of_model_for_us):
        return {
            "prices": {"video": f"{video} wei", "auto_adjust": False, "gateways": {gateway: f"{ours} wei"}},
            "models": [model | {"price": f"{of_model} wei", "gateways": {gateway: f"{of_model_for_us} wei"}}],
        }

    gateway, stranger = dev_signer(GATEWAY).address, dev_signer(STRANGER)
    async with a_paid_node(
        tmp_path,
        start=False,
        orchestrator={"worker_secret": "workers"},
        secrets={"workers": str(secret)},
        **prices(7, 5, 40, 30),
    ) as node:
        await node.chain.fund_gateway(stranger.address, deposit=Wei(10**18), reserve=Wei(10**18))
        await asyncio.to_thread(node.agent.start)

        async def told(signer):
            endpoint = parse_endpoint(node.agent.service_uri)
            info = await get_orchestrator(endpoint, Payer(signer), None, timeout_s=30)
            models = [(price.constraint, price.pricePerUnit) for price in info.capabilities_prices]
            return info.price_info.pricePerUnit, models

        assert await told(node.gateway) == (5, [("tiny", 30)])
        assert await told(stranger) == (7, [("tiny", 40)])
        write(node, **prices(17, 15, 140, 130))
        await asyncio.to_thread(node.agent.until_condition, "SpecCurrent", "Taken")
        assert await told(node.gateway) == (15, [("tiny", 130)])
        assert await told(stranger) == (17, [("tiny", 140)])
