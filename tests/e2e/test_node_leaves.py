"""A whole orchestrator that is evicted: everything is redeemed while it is active, and its reward is called."""

import asyncio

import pytest

from tests.builders.gateways import SingleRequests, a_stream
from tests.builders.paid_nodes import a_paid_node
from tests.builders.redeeming import evict, evict_barely
from tests.devchain.accounts import dev_signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

RICHER = 2
MOST_PAYMENTS = 20  # three tickets of four win
LEFT = 55  # L1 blocks: parameters of now are valid for 40, and the margin is 20


async def test_evicted_in_the_last_minutes__all_is_redeemed_before_the_round_ends(tmp_path):
    async with a_paid_node(tmp_path, start=False, pool_max_size=1) as node:
        rounds, broker = node.chain.client.rounds, node.chain.client.broker
        round_ = await rounds.current_round()
        end = await rounds.current_round_start_block() + await rounds.round_length()
        await node.chain.mine(end - LEFT - await rounds.block_num())
        await asyncio.to_thread(node.agent.start)
        (segment, *_), _ = a_stream(3)
        async with SingleRequests(node.agent.service_uri, node.gateway) as gateway:
            for _ in range(MOST_PAYMENTS):
                assert (await gateway.post(segment, gateway.payment()))[0] == 200
                if node.agent.status()["payments"]["tickets"]["pending"]["count"]:
                    break
        await asyncio.to_thread(node.agent.until_condition, "ActiveNextRound", "LastInPool")

        await evict(node.chain, node.orchestrator, dev_signer(RICHER))
        leaving = await asyncio.to_thread(node.agent.until_condition, "ActiveNextRound", "Leaving")
        assert "call reward first" in leaving["message"]
        await node.chain.mine(end - 20 - await rounds.block_num())
        status = await asyncio.to_thread(
            node.agent.until, "all redeemed", lambda s: s["payments"]["tickets"]["pending"]["count"] == 0
        )

        assert await rounds.block_num() < end
        assert await rounds.current_round() == round_
        assert status["payments"]["tickets"]["redeemed"]["count"] > 0
        assert status["payments"]["tickets"]["lost"]["count"] == 0
        info = await broker.sender_info(node.gateway.address, node.orchestrator.address)
        assert 10**18 - info.deposit == status["payments"]["paid_wei"]


async def test_evicted_while_away_and_reward_owed__all_is_redeemed_and_then_reward_called(tmp_path):
    duties = {
        "transcoding": {"encoder": "software"},
        "redemption": {"check_every_s": 0.5},
        "reward": {"check_every_s": 0.5},
    }
    async with a_paid_node(tmp_path, pool_max_size=1, duties=duties) as node:
        rounds, bonding = node.chain.client.rounds, node.chain.client.bonding
        end = await rounds.current_round_start_block() + await rounds.round_length()
        await asyncio.to_thread(node.agent.until_condition, "RewardCalled", "Called")
        await node.chain.mine(end - 5 - await rounds.block_num())
        await asyncio.to_thread(node.agent.until, "the block seen", lambda s: s["chain"]["l1_block"] >= end - 5)
        (segment, *_), _ = a_stream(3)
        async with SingleRequests(node.agent.service_uri, node.gateway) as gateway:
            for _ in range(MOST_PAYMENTS):
                assert (await gateway.post(segment, gateway.payment()))[0] == 200
                if node.agent.status()["payments"]["tickets"]["pending"]["count"]:
                    break
        await asyncio.to_thread(node.agent.kill)
        await node.chain.mine(end - await rounds.block_num())
        await node.chain.initialize_round()
        round_ = await rounds.current_round()
        await evict_barely(node.chain, node.orchestrator, dev_signer(RICHER))

        await asyncio.to_thread(node.agent.start)
        called = await asyncio.to_thread(
            node.agent.until,
            "reward called and back in the pool",
            lambda s: {c["name"]: c["reason"] for c in s["conditions"]}.get("RewardCalled") in ("Called", "NotActive"),
        )
        tickets = called["payments"]["tickets"]
        assert (tickets["pending"]["count"], tickets["lost"]["count"]) == (0, 0)
        assert tickets["redeemed"]["count"] > 0
        assert called["payments"]["paid_wei"] == tickets["redeemed"]["face_value_wei"]
        transcoder = await bonding.transcoder(node.orchestrator.address)
        assert (transcoder.last_reward_round, transcoder.activation_round) == (round_, round_ + 1)
        assert await rounds.current_round() == round_
