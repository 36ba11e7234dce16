"""The books of a whole agent: what it earned and spent by itself, told by the operator's commands."""

import asyncio
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from tests.builders.gateways import SingleRequests, a_stream
from tests.builders.paid_nodes import PaidNode, a_paid_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PARAMS_VALID_BLOCKS = 40
MOST_PAYMENTS = 20  # three tickets of four win
DUTIES = {
    "transcoding": {"encoder": "software"},
    "redemption": {"check_every_s": 0.5},
    "reward": {"check_every_s": 0.3},
    "ledger": {"check_every_s": 0.5},
}


async def _balanced_at(node: PaidNode, block: int) -> None:
    """The agent says that its books agree with the chain at that block or later."""

    def holds(status):
        for condition in status["conditions"]:
            if condition["name"] == "LedgerBalanced" and condition["status"] == "true":
                return int(condition["message"].split("block ")[1].split(",")[0]) >= block
        return False

    await asyncio.to_thread(node.agent.until, f"books that balance at {block}", holds)


async def test_ledger__rewards_and_redemptions_of_an_agent__balance_also_after_a_kill(tmp_path):
    async with a_paid_node(tmp_path, duties=DUTIES) as node:
        await asyncio.to_thread(node.agent.until_condition, "RewardCalled", "Called")
        (segment, *_), _ = a_stream(3)
        async with SingleRequests(node.agent.service_uri, node.gateway) as gateway:
            for _ in range(MOST_PAYMENTS):
                assert (await gateway.post(segment, gateway.payment()))[0] == 200
                if node.agent.status()["payments"]["tickets"]["pending"]["count"]:
                    break
        await asyncio.to_thread(node.agent.kill)
        await node.chain.mine(PARAMS_VALID_BLOCKS + 1)
        await asyncio.to_thread(node.agent.start)
        await asyncio.to_thread(
            node.agent.until, "all redeemed", lambda s: s["payments"]["tickets"]["pending"]["count"] == 0
        )
        await node.chain.mine(3)
        await _balanced_at(node, await node.chain.client.rpc.block_number())
        paid = node.agent.status()["payments"]["paid_wei"]

        command = [sys.executable, "-m", "livefleet", "agent", "ledger", str(node.agent.node_yaml)]
        dumped = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
        assert dumped.returncode == 0, dumped.stderr
        books = tmp_path / "books.jsonl"
        books.write_text(dumped.stdout)
        report = ["report", "earnings", "--ledger", str(books), "--by", "gateway,host", "--json"]
        told = await asyncio.to_thread(CliRunner().invoke, main, report)
        assert told.exit_code == 0, told.stderr
        rows = json.loads(told.stdout)["rows"]
        (earned,) = [row for row in rows if row["gateway"]]
        assert (earned["gateway"], earned["host"]) == (
            node.gateway.address,
            json.loads(dumped.stdout.splitlines()[0])["name"],
        )
        assert int(earned["fees"]) == paid > 0
        assert int(json.loads(told.stdout)["total"]["own_rewards"]) > 0
        purposes = {
            line["note"].split(":")[0]
            for line in map(json.loads, dumped.stdout.splitlines())
            if line.get("kind") == "gas"
        }
        assert {"reward", "redeem"} <= {purpose.split(" ")[0] for purpose in purposes}
