"""The feed reader against a feed contract on a real chain."""

from fractions import Fraction

import pytest

from livefleet.chain import Call, NodeError, PriceFeed, feed_addresses, wei_per_unit
from livefleet.chain.abi import Function
from livefleet.kernel import Address, SystemClock
from livefleet.payments import PriceKeeper
from livefleet.spec import FeedSettings, Network, NodeSpec, Prices
from tests.devchain.accounts import DEPLOYER, dev_signer

pytestmark = pytest.mark.component

SET_ANSWER = Function.parse("setAnswer(int256 answer)")


async def say(devchain, usd):
    call = Call(to=devchain.info.price_feed, data=SET_ANSWER.encode(int(usd * 10**8)))
    await devchain.sender.send(dev_signer(DEPLOYER), call)


async def test_latest__feed_of_the_chain__is_read_whole(devchain):
    feed = PriceFeed(devchain.client.rpc, devchain.info.price_feed)
    await say(devchain, 3123)

    answer = await feed.latest()

    assert (answer.description, answer.decimals, answer.answer) == ("ETH / USD", 8, 3123 * 10**8)
    assert abs(answer.updated_at - SystemClock().now()) < 600
    assert wei_per_unit(answer, "usd") == Fraction(10**18, 3123)


async def test_latest__no_feed_at_the_address__is_an_error_of_the_node(devchain):
    with pytest.raises(NodeError):
        await PriceFeed(devchain.client.rpc, Address(dev_signer(DEPLOYER).address)).latest()


async def test_keeper__feed_of_the_chain__prices_follow_it_and_survive_a_zero(devchain, tmp_path):
    info = devchain.info
    spec = NodeSpec(
        fleet="f",
        name="n",
        role="monitor",
        network=info.network,
        prices=Prices(video="0.41 USD per 1e12 pixels", feed=FeedSettings(address=info.price_feed.lower())),
    )
    feeds = [PriceFeed(devchain.client.rpc, address) for address in feed_addresses(spec.network, spec.prices.feed)]
    keeper = PriceKeeper(spec, feeds, tmp_path / "rate.json", clock=SystemClock())
    await say(devchain, 3000)
    await keeper.look()
    first = keeper.prices().video
    await say(devchain, 3300)
    await keeper.look()
    second = keeper.prices().video
    await say(devchain, 0)
    await keeper.look()

    assert first == Fraction(41, 10**14) * Fraction(10**18, 3000)
    assert second == Fraction(41, 10**14) * Fraction(10**18, 3300)
    assert keeper.prices().video == second
    assert keeper.condition().reason == "NotPositive"
    assert PriceKeeper(spec, [], tmp_path / "rate.json", clock=SystemClock()).prices().video == second


def test_feed_addresses__network_default__is_chainlinks_on_arbitrum():
    arbitrum, dev = Network(name="arbitrum-one-mainnet"), Network(name="devchain")
    other = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"

    assert feed_addresses(arbitrum, None) == ("0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612",)
    assert feed_addresses(dev, None) == ()
    assert feed_addresses(dev, FeedSettings(address=other.lower())) == (other,)
    assert feed_addresses(arbitrum, FeedSettings(second=other)) == (
        "0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612",
        other,
    )
