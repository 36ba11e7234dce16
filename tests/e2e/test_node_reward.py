"""Reward called once in each round by a whole agent."""

import asyncio
import socket

import pytest

from livefleet.chain.contracts.bonding_manager import BondingManager
from tests.builders.paid_nodes import PaidNode, a_paid_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


async def transactions(node: PaidNode) -> int:
    """How many the orchestrator's account has sent."""
    return int(await node.chain.client.rpc.request("eth_getTransactionCount", node.orchestrator.address, "latest"), 16)


async def rewarded(node: PaidNode, round_: int) -> None:
    """The agent says that it called reward in this round, and the chain agrees."""
    condition = await asyncio.to_thread(
        node.agent.until,
        f"reward called in round {round_}",
        lambda status: any(
            c["name"] == "RewardCalled" and c["reason"] == "Called" and str(round_) in c["message"]
            for c in status["conditions"]
        ),
    )
    assert condition
    bonding: BondingManager = node.chain.client.bonding
    assert (await bonding.transcoder(node.orchestrator.address)).last_reward_round == round_


async def test_reward__new_rounds_seen_and_slept_through__is_called_once_in_each(tmp_path):
    async with a_paid_node(tmp_path, duties={"reward": {"check_every_s": 0.3}}) as node:
        bonding = node.chain.client.bonding
        first = await node.chain.client.rounds.current_round()
        await rewarded(node, first)
        sent = await transactions(node)

        second = await node.chain.next_round()
        await rewarded(node, second)
        assert await transactions(node) == sent + 1
        await node.chain.mine(3)  # nudges: nothing is left to do
        await asyncio.to_thread(node.agent.until, "the block seen", lambda s: s["chain"]["round"] == second)
        assert await transactions(node) == sent + 1

        assert await asyncio.to_thread(node.agent.stop) == 0
        third = await node.chain.next_round()
        assert (await bonding.transcoder(node.orchestrator.address)).last_reward_round == second
        await asyncio.to_thread(node.agent.start)
        await rewarded(node, third)
        assert await transactions(node) == sent + 2
        assert await asyncio.to_thread(node.agent.stop) == 0
        await asyncio.to_thread(node.agent.start)  # the same round once more
        await rewarded(node, third)
        assert await transactions(node) == sent + 2


async def test_reward__somebody_has_the_node_s_port__is_called_all_the_same(tmp_path):
    async with a_paid_node(tmp_path, start=False, duties={"reward": {"check_every_s": 0.3}}) as node:
        port = int(node.agent.service_uri.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):
            await asyncio.to_thread(node.agent.start, ready=False)
            await asyncio.to_thread(node.agent.until_condition, "FrontDoorOpen", "NotServing")
            await rewarded(node, await node.chain.client.rounds.current_round())
            await rewarded(node, await node.chain.next_round())
        await asyncio.to_thread(node.agent.wait_ready)
