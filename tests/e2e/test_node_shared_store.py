"""Two orchestrators and two redeemers on one database: whoever wins a ticket, one of the two redeems it, once."""

import asyncio
import time
from contextlib import AsyncExitStack, contextmanager

import pytest

from livefleet.chain import Postgres
from livefleet.payments import PostgresStore
from tests.builders.agents import an_agent, free_port
from tests.builders.gateways import SingleRequests, a_stream, write_key
from tests.builders.paid_nodes import TICKETS, a_paid_node, network_of
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PARAMS_VALID_BLOCKS = 40
MOST_PAYMENTS = 30  # three tickets of four win
LEASE_S = 30.0
AUTOMINE_ON, AUTOMINE_OFF, WITH_TRANSACTIONS = (True,), (False,), (True,)


def shared(root, url):
    """What a node's spec says of the database, with the secret in its place."""
    secret = root / "var/lib/livefleet/secrets/database"
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text(url + "\n")
    secret.chmod(0o600)
    return {"store": {"postgres": "database", "tls": "disable"}, "secrets": {"database": "secrets/database"}}


@contextmanager
def a_redeemer(root, node, url, account, **fields):
    write_key(root / "var/lib/livefleet/keys/redeemer.hex", dev_secret(account))
    spec = {
        "role": "redeemer",
        "network": network_of(node.chain.info),
        "keys": {"redeemer": {"file": "keys/redeemer.hex"}},
        "gpus": "none",
        "duties": {"redemption": {"check_every_s": 0.5}},
        "redeemer": {
            "listen": f"127.0.0.1:{free_port()}",
            "key": "redeemer",
            "recipient": node.orchestrator.address,
        },
    }
    with an_agent(root, start=False, **spec, **shared(root, url), **fields) as agent:
        yield agent


@contextmanager
def a_second_orchestrator(root, node, url):
    write_key(root / "var/lib/livefleet/keys/orchestrator.hex", dev_secret(1))
    spec = {
        "name": "second",
        "role": "orchestrator",
        "network": network_of(node.chain.info),
        "keys": {"orchestrator": {"file": "keys/orchestrator.hex"}},
        "gpus": "none",
        "duties": {"transcoding": {"encoder": "software"}},
        "prices": {"video": "100000 wei"},
        "orchestrator": {"key": "orchestrator", "ticket": TICKETS},
    }
    with an_agent(root, start=False, **spec, **shared(root, url)) as agent:
        yield agent


async def win(agent, gateway, segment, wanted=2):
    """Pay until the node has won so many tickets; how many it has."""
    async with SingleRequests(agent.service_uri, gateway) as client:
        for _ in range(MOST_PAYMENTS):
            assert (await client.post(segment, client.payment()))[0] == 200
            if (won := agent.status()["payments"]["tickets"]["pending"]["count"]) >= wanted:
                return won
    raise AssertionError("no winner")


@pytest.mark.parametrize("accounts", [(6, 6), (6, 7)], ids=["one-key", "a-key-each"])
async def test_lease_holder_killed_with_tickets_under_way__the_other_ends_it_and_all_are_redeemed_once(
    tmp_path, postgres, accounts
):
    url = postgres.database()
    root = tmp_path / "node"
    async with (
        a_paid_node(
            tmp_path, start=False, duties={"transcoding": {"encoder": "software"}}, name="first", **shared(root, url)
        ) as node,
        AsyncExitStack() as stack,
    ):
        client, rpc, recipient = node.chain.client, node.chain.client.rpc, node.orchestrator.address
        second = stack.enter_context(a_second_orchestrator(tmp_path / "second", node, url))
        one, two = (
            stack.enter_context(a_redeemer(tmp_path / name, node, url, account, name=name))
            for name, account in zip(("redeemer-1", "redeemer-2"), accounts, strict=True)
        )
        await asyncio.gather(*(asyncio.to_thread(agent.start) for agent in (node.agent, second)))
        (segment, *_), _ = a_stream(3)
        won = [await win(agent, node.gateway, segment) for agent in (node.agent, second)]
        async with Postgres(url, tls=None) as database, PostgresStore(database, name="test/onlooker") as onlooker:
            winners = [stored.winner.ticket for stored in await (await onlooker.winners_of(recipient)).pending()]
        assert len(winners) == sum(won)
        owed = sum(ticket.face_value for ticket in winners)
        fees = await client.bonding.pending_fees(recipient)

        await asyncio.to_thread(one.start)
        await asyncio.to_thread(two.start)
        waits = await asyncio.to_thread(two.until_condition, "TicketsRedeemed", "StandingBy")
        assert "test/redeemer-1" in waits["message"]
        assert two.status()["redeemer"]["tickets"]["pending"] == {"count": len(winners), "face_value_wei": owed}

        await rpc.request("evm_setAutomine", *AUTOMINE_OFF)  # what is sent stays under way
        await node.chain.mine(PARAMS_VALID_BLOCKS + 1)
        await asyncio.to_thread(under_way, postgres, url)
        await asyncio.to_thread(one.kill)
        killed_at = time.monotonic()
        await rpc.request("evm_setAutomine", *AUTOMINE_ON)
        await node.chain.mine()
        done = await asyncio.to_thread(
            two.until, "all redeemed", lambda s: s["redeemer"]["tickets"]["redeemed"]["count"] == len(winners)
        )
        assert time.monotonic() - killed_at < LEASE_S + 20
        assert done["redeemer"]["tickets"]["redeemed"] == {"count": len(winners), "face_value_wei": owed}
        assert done["redeemer"]["tickets"]["lost"]["count"] == 0

        assert all([await client.broker.is_used(ticket.hash) for ticket in winners])
        assert await client.bonding.pending_fees(recipient) - fees == owed
        for agent, number in zip((node.agent, second), won, strict=True):
            status = await asyncio.to_thread(
                agent.until, "its own are settled", lambda s: s["payments"]["tickets"]["pending"]["count"] == 0
            )
            assert status["payments"]["tickets"]["redeemed"]["count"] == number
        reverted = [
            receipt
            for account in set(accounts)
            for receipt in await receipts_of(rpc, dev_signer(account).address)
            if receipt["status"] != "0x1"
        ]
        assert reverted == [], "a ticket was sent twice"

        await asyncio.to_thread(one.start)
        again = await asyncio.to_thread(one.until_condition, "TicketsRedeemed", "StandingBy", "NonePending")
        assert "test/redeemer-2" in again["message"]
        for agent in (node.agent, second, one, two):
            assert postgres.password not in agent.log()
            assert postgres.password not in agent.get("/status")[1]


def under_way(postgres, url, timeout_s=30.0):
    """Wait for a redemption that is recorded and sent."""
    deadline = time.monotonic() + timeout_s
    count = "SELECT count(*) FROM livefleet.intents WHERE state = 'pending'"
    while postgres.sql(count, database=url.rpartition("/")[2]) == "0":
        assert time.monotonic() < deadline, "nothing was sent"
        time.sleep(0.05)
    shown = "SELECT sum(face_value) > 0 FROM livefleet.in_flight"
    while postgres.sql(shown, database=url.rpartition("/")[2]) != "t":
        assert time.monotonic() < deadline, "the others do not know of it"
        time.sleep(0.05)


async def receipts_of(rpc, address):
    """Every mined transaction of an address."""
    found = []
    for number in range(int(await rpc.request("eth_blockNumber"), 16) + 1):
        block = await rpc.request("eth_getBlockByNumber", hex(number), *WITH_TRANSACTIONS)
        found += [
            await rpc.request("eth_getTransactionReceipt", sent["hash"])
            for sent in block["transactions"]
            if sent["from"].lower() == address.lower()
        ]
    return found
