"""An orchestrator whose key sends no transaction, and the redeemer that redeems for it."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from livefleet.payments import TicketState, read_tickets
from livefleet.spec import NodePaths
from tests.builders.agents import an_agent, free_port
from tests.builders.gateways import SingleRequests, a_stream, write_key
from tests.builders.metrics import Scrape, drift
from tests.builders.paid_nodes import a_paid_node, network_of
from tests.builders.takeovers import changed
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

REDEEMER = 6  # account of the public test mnemonic
PARAMS_VALID_BLOCKS = 40
MOST_PAYMENTS = 20  # three tickets of four win


@asynccontextmanager
async def a_redeemer(root, node, address):
    write_key(root / "var/lib/livefleet/keys/redeemer.hex", dev_secret(REDEEMER))
    spec = {
        "role": "redeemer",
        "network": network_of(node.chain.info),
        "keys": {"redeemer": {"file": "keys/redeemer.hex"}},
        "gpus": "none",
        "duties": {"redemption": {"check_every_s": 0.5, "max_gas_price": 1, "urgent_before_s": 0.1}},
        "redeemer": {"listen": address, "key": "redeemer", "recipient": node.orchestrator.address},
    }
    with an_agent(root, start=False, **spec) as agent:
        await asyncio.to_thread(agent.start)
        yield agent


async def test_winners__go_to_the_shared_redeemer__which_redeems_them(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    async with a_paid_node(
        tmp_path, duties={"transcoding": {"encoder": "software"}}, orchestrator={"redeemer": address}
    ) as node:
        client, recipient = node.chain.client, node.orchestrator.address
        (segment, *_), _ = a_stream(3)
        async with SingleRequests(node.agent.service_uri, node.gateway) as gateway:
            for _ in range(MOST_PAYMENTS):  # the redeemer is not there yet, and nobody notices
                assert (await gateway.post(segment, gateway.payment()))[0] == 200
                if node.agent.status()["payments"]["tickets"]["pending"]["count"]:
                    break
        await node.chain.mine()  # a nudge: look again
        waits = await asyncio.to_thread(node.agent.until_condition, "TicketsRedeemed", "NotHandedOver")
        assert address in waits["message"]
        winners = [
            t.winner.ticket for t in read_tickets(NodePaths(node.agent.root).store, states=[TicketState.PENDING])
        ]
        owed = sum(ticket.face_value for ticket in winners)
        assert owed
        fees = await client.bonding.pending_fees(recipient)
        sent = await client.rpc.request("eth_getTransactionCount", recipient, "latest")

        async with a_redeemer(tmp_path / "redeemer", node, address) as redeemer:
            await node.chain.mine()
            await asyncio.to_thread(node.agent.until_condition, "TicketsRedeemed", "HandedOver")
            assert redeemer.status()["redeemer"]["queued"] == len(winners)
            assert redeemer.status()["redeemer"]["tickets"]["pending"]["face_value_wei"] == owed
            # Killed before it could redeem, it knows them still.
            await asyncio.to_thread(redeemer.kill)
            await node.chain.mine(PARAMS_VALID_BLOCKS + 1)
            await asyncio.to_thread(redeemer.start)
            await asyncio.to_thread(redeemer.until, "dear gas", lambda s: "gas" in str(s["redemption"]["waiting_for"]))
            await changed(redeemer, duties={"redemption": {"check_every_s": 0.5}})
            done = await asyncio.to_thread(
                redeemer.until, "all redeemed", lambda s: s["redeemer"]["tickets"]["redeemed"]["count"]
            )
            assert done["redeemer"]["tickets"]["redeemed"] == {"count": len(winners), "face_value_wei": owed}
            assert redeemer.metric("livefleet_winning_tickets", state="redeemed") == len(winners)
            told = Scrape.of(redeemer.get("/metrics")[1])
            assert drift(told, "node", "rdmr", "redeems") == []
            assert told.value("livepeer_value_redeemed", node_type="rdmr") == owed / 10**9
            await node.chain.mine()
            status = await asyncio.to_thread(
                node.agent.until, "all settled", lambda s: s["payments"]["tickets"]["pending"]["count"] == 0
            )
        assert status["payments"]["tickets"]["redeemed"] == {"count": len(winners), "face_value_wei": owed}
        assert await client.bonding.pending_fees(recipient) - fees == owed
        assert await client.rpc.request("eth_getTransactionCount", recipient, "latest") == sent  # not one of its own
        assert dev_signer(REDEEMER).address != recipient
