"""Winning tickets from one life of the agent to the next."""

import asyncio

import pytest

from livefleet.payments import TicketState, read_tickets
from livefleet.spec import NodePaths
from tests.builders.gateways import SingleRequests, a_stream
from tests.builders.paid_nodes import a_paid_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PARAMS_VALID_BLOCKS = 40
MOST_PAYMENTS = 20  # three tickets of four win
WINNERS = 3


async def test_winners__agent_killed_before_redemption__are_redeemed_once_and_together(tmp_path):
    async with a_paid_node(tmp_path) as node:
        client, recipient = node.chain.client, node.orchestrator.address
        (segment, *_), _ = a_stream(3)
        async with SingleRequests(node.agent.service_uri, node.gateway) as gateway:
            for _ in range(MOST_PAYMENTS):
                assert (await gateway.post(segment, gateway.payment()))[0] == 200
                if node.agent.status()["payments"]["tickets"]["pending"]["count"] >= WINNERS:
                    break
            await asyncio.to_thread(node.agent.kill)

        store = NodePaths(node.agent.root).store
        winners = [stored.winner.ticket for stored in read_tickets(store, states=[TicketState.PENDING])]
        assert len(winners) >= WINNERS
        assert not any([await client.broker.is_used(ticket.hash) for ticket in winners])
        owed = sum(ticket.face_value for ticket in winners)
        fees = await client.bonding.pending_fees(recipient)
        nonce = await node.chain.client.rpc.request("eth_getTransactionCount", recipient, "latest")
        await node.chain.mine(PARAMS_VALID_BLOCKS + 1)

        await asyncio.to_thread(node.agent.start)
        status = await asyncio.to_thread(
            node.agent.until, "all redeemed", lambda s: s["payments"]["tickets"]["pending"]["count"] == 0
        )
        assert status["payments"]["tickets"]["redeemed"] == {"count": len(winners), "face_value_wei": owed}
        assert status["payments"]["tickets"]["lost"]["count"] == 0
        assert status["payments"]["paid_wei"] == owed
        assert all([await client.broker.is_used(ticket.hash) for ticket in winners])
        assert await client.bonding.pending_fees(recipient) - fees == owed
        spent = await node.chain.client.rpc.request("eth_getTransactionCount", recipient, "latest")
        assert int(spent, 16) - int(nonce, 16) == 1  # all of them in one transaction

        await asyncio.to_thread(node.agent.kill)
        await asyncio.to_thread(node.agent.start)
        await node.chain.mine()  # a nudge: look again
        again = await asyncio.to_thread(node.agent.until_condition, "TicketsRedeemed", "NonePending")
        assert again["status"] == "true"
        status = node.agent.status()
        assert status["payments"]["tickets"]["redeemed"] == {"count": len(winners), "face_value_wei": owed}
        assert status["payments"]["paid_wei"] == owed
        assert await client.bonding.pending_fees(recipient) - fees == owed
        assert await node.chain.client.rpc.request("eth_getTransactionCount", recipient, "latest") == spent
