"""A whole agent while its chain does not answer."""

import asyncio
import json
import os
import signal
from contextlib import contextmanager

import pytest

from tests.builders.agents import an_agent, free_port
from tests.builders.chain import a_devchain
from tests.builders.gateways import SingleRequests, a_stream, write_key
from tests.builders.paid_nodes import ORCHESTRATOR, a_paid_node, network_of
from tests.devchain import process
from tests.devchain.accounts import dev_secret
from tests.devchain.chain import Devchain

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@contextmanager
def frozen(folder):
    """The chain's process stands still: connections open, nothing answers."""
    anvil = process.Process.read(folder)
    assert anvil is not None
    assert anvil.is_alive()
    os.kill(anvil.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(anvil.pid, signal.SIGCONT)


async def test_chain__stands_still_during_a_stream__work_goes_on_from_the_last_look(tmp_path):
    (first, second, third), _ = a_stream(3)
    async with (
        a_paid_node(tmp_path) as node,
        SingleRequests(node.agent.service_uri, node.gateway) as gateway,
    ):
        agent = node.agent
        assert (await gateway.post(first, gateway.payment()))[0] == 200
        with frozen(node.chain_folder):
            status, _, result = await gateway.post(second, gateway.payment())
            assert status == 200
            assert len(result.data.segments) == 3
            said = await asyncio.to_thread(agent.until_condition, "ChainReachable", "ServingFromLastLook")
            assert said["status"] == "true"
            assert agent.get("/readyz")[0] == 200
            await gateway.discover()  # gateways still find it
            status, _, result = await gateway.post(third, gateway.payment())
            assert status == 200
            assert len(result.data.segments) == 3
        await asyncio.to_thread(agent.until_condition, "ChainReachable", "Seen")
        await node.chain.mine()
        block = await node.chain.client.rounds.block_num()
        await asyncio.to_thread(agent.until, "the new block", lambda s: s["chain"]["l1_block"] >= block)


async def test_start__no_chain_yet__is_up_and_becomes_ready_when_it_comes(tmp_path):
    port, root = free_port(), tmp_path / "node"
    write_key(root / "var/lib/livefleet/keys/orchestrator.hex", dev_secret(ORCHESTRATOR))
    async with a_devchain(tmp_path / "elsewhere") as chain:
        # The same deployment gives the same addresses on the chain that comes later.
        network = network_of(chain.info) | {"rpc": [f"http://127.0.0.1:{port}"]}
    with an_agent(
        root,
        start=False,
        role="orchestrator",
        network=network,
        keys={"orchestrator": {"file": "keys/orchestrator.hex"}},
        orchestrator={"key": "orchestrator"},
        gpus="none",
        duties={"transcoding": {"encoder": "software"}, "redemption": {}, "reward": {}},
    ) as agent:
        await asyncio.to_thread(agent.start, ready=False)
        said = await asyncio.to_thread(agent.until_condition, "ChainReachable", "NotSeen")
        assert str(port) in said["message"]
        assert agent.get("/healthz")[0] == 200
        code, body = agent.get("/readyz")
        assert code == 503
        assert "ChainReachable" in [c["name"] for c in json.loads(body)["blocking"]]
        try:
            async with await Devchain.up(tmp_path / "chain", port=port):
                await asyncio.to_thread(agent.wait_ready)
                assert agent.status()["chain"]["l1_block"] > 0
                assert await asyncio.to_thread(agent.stop) == 0
        finally:
            await Devchain.down(tmp_path / "chain")
