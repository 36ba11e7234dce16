from contextlib import asynccontextmanager

import pytest

from livefleet.chain import connect
from livefleet.chain.contracts.bonding_manager import FIRST_IN_POOL, NEXT_IN_POOL, TRANSCODER_TOTAL_STAKE
from livefleet.chain.pool import read_pool
from livefleet.chain.pool_walk import walk_code
from tests.builders.unruly_rpc import an_unruly_rpc
from tests.devchain.accounts import dev_signer
from tests.devchain.deploy import LPT

pytestmark = pytest.mark.component

STAKES = {1: 30, 2: 50, 3: 20, 4: 40, 5: 10}


@asynccontextmanager
async def a_client_through_a_proxy(devchain):
    """The proxy, and a client that sees the chain through it."""
    async with an_unruly_rpc(devchain.info.rpc) as endpoint:
        network = devchain.info.network.model_copy(update={"rpc": (endpoint.url,)})
        async with await connect(network) as client:
            yield endpoint, client


async def staked(devchain):
    """Orchestrators by stake, highest first, as the contract's own reads tell."""
    for index, stake in STAKES.items():
        await devchain.activate_orchestrator(dev_signer(index), stake=stake * LPT, advance=False)
    ranked = sorted(STAKES, key=lambda index: -STAKES[index])
    return [(dev_signer(index).address, STAKES[index] * LPT) for index in ranked]


async def test_read_pool__endpoint_that_walks_it__takes_one_request(devchain):
    before = await devchain.client.rpc.block_number()
    expected = await staked(devchain)
    async with a_client_through_a_proxy(devchain) as (endpoint, client):
        block = await client.rpc.block_number()
        endpoint.forget_counts()
        pool = await read_pool(client.bonding, block)
        assert [(member.address, member.stake) for member in pool] == expected
        assert endpoint.methods == {"eth_call": 1}
        assert await read_pool(client.bonding, before) == ()


async def test_read_pool__endpoint_that_does_not__reads_the_same_by_links(devchain):
    expected = await staked(devchain)
    async with a_client_through_a_proxy(devchain) as (endpoint, client):
        block = await client.rpc.block_number()
        code = walk_code(client.bonding.address, FIRST_IN_POOL, NEXT_IN_POOL, TRANSCODER_TOTAL_STAKE)
        await endpoint.become(reverts=["0x" + code[:4].hex()])
        pool = await read_pool(client.bonding, block)
        assert [(member.address, member.stake) for member in pool] == expected
        endpoint.forget_counts()
        guess = [member.address for member in pool]
        assert await read_pool(client.bonding, block, guess) == pool
        assert endpoint.posts == 3  # the walk in vain, all links, all stakes


async def test_read_pool__nobody_in_it__is_empty(devchain):
    assert await read_pool(devchain.client.bonding, await devchain.client.rpc.block_number()) == ()
