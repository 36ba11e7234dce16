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
from tests.builders.unruly_rpc import an_unruly_rpc
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
        quoted = int.from_bytes(gateway.info.ticket_params.expiration_block)
        with frozen(node.chain_folder):
            status, _, result = await gateway.post(second, gateway.payment())
            assert status == 200
            assert len(result.data.segments) == 3
            said = await asyncio.to_thread(agent.until_condition, "ChainReachable", "ServingFromLastLook")
            assert said["status"] == "true"
            assert "s yet" in said["message"]
            assert agent.get("/readyz")[0] == 200
            await gateway.discover()  # gateways still find it
            # Looks have failed for a while: parameters end later all the same, or the session would end with them.
            assert int.from_bytes(gateway.info.ticket_params.expiration_block) > quoted + 10
            status, _, result = await gateway.post(third, gateway.payment())
            assert status == 200
            assert len(result.data.segments) == 3
        await asyncio.to_thread(agent.until_condition, "ChainReachable", "Seen")
        await node.chain.mine()
        block = await node.chain.client.rounds.block_num()
        await asyncio.to_thread(agent.until, "the new block", lambda s: s["chain"]["l1_block"] >= block)


async def test_endpoint__first_of_two_hangs__the_node_sees_new_blocks_and_says_which_one_rests(tmp_path):
    root = tmp_path / "node"
    write_key(root / "var/lib/livefleet/keys/orchestrator.hex", dev_secret(ORCHESTRATOR))
    async with (
        a_devchain(tmp_path / "chain") as chain,
        an_unruly_rpc(chain.info.rpc) as first,
        an_unruly_rpc(chain.info.rpc) as second,
    ):
        with an_agent(
            root,
            start=False,
            role="orchestrator",
            network=network_of(chain.info) | {"rpc": [first.url, {"url": second.url, "requests_per_second": 100}]},
            keys={"orchestrator": {"file": "keys/orchestrator.hex"}},
            orchestrator={"key": "orchestrator"},
            gpus="none",
            duties={"transcoding": {"encoder": "software"}},
        ) as agent:
            await asyncio.to_thread(agent.start)
            await first.become(hangs=True)
            block = await chain.client.rpc.block_number() + 1
            await chain.mine()
            status = await asyncio.to_thread(agent.until, "the block", lambda s: s["chain"]["block"] >= block)
            states = {endpoint["url"]: endpoint["state"] for endpoint in status["chain"]["rpc"]}
            assert states == {first.url: "resting", second.url: "healthy"}
            told = f"{first.url} rests for"
            status = await asyncio.to_thread(
                agent.until, told, lambda s: any(told in condition["message"] for condition in s["conditions"])
            )
            asked = status["chain"]["rpc"][1]
            assert asked["methods_last_hour"]["eth_getBlockByNumber"] > 0
            assert agent.metric("livefleet_rpc_failures_total", endpoint=first.url) >= 1


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
