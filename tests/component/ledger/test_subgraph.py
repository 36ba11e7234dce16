"""History and delegators from a subgraph, held against the chain."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.kernel import OutsideWorld
from livefleet.ledger import Ledger, SubgraphClient
from tests.builders.busy_orchestrator import (
    DELEGATOR,
    ETH,
    ORCHESTRATOR,
    PARTIES,
    RICH,
    RIVAL,
    begin,
    busy_rounds,
    head,
    redeem,
)
from tests.builders.subgraph import a_subgraph

pytestmark = pytest.mark.component

FLEET = """\
name: demo
network:
  name: devchain
  rpc: ['{rpc}']
  controller: '{controller}'
  chain_id: 1337
  subgraph: {{url: '{url}', key: graph}}
keys: {{o: {{file: key, address: '{orchestrator}'}}}}
secrets: {{graph: {{env: GRAPH_KEY}}}}
hosts:
  here:
    address: '@local'
    role: orchestrator
    duties: [transcoding, ledger]
    orchestrator: {{service_uri: 'https://o.example.com:8935', key: o}}
    prices: {{video: 100000 wei}}
"""


def _fleet(chain, path, url):
    info = chain.info
    path.write_text(FLEET.format(rpc=info.rpc, controller=info.controller, url=url, orchestrator=ORCHESTRATOR.address))
    return path


async def _run(*words, key="secret"):
    runner = CliRunner(env={"GRAPH_KEY": key})
    return await asyncio.to_thread(runner.invoke, main, [str(word) for word in words])


async def test_history__books_that_begin_late__are_completed_by_what_the_receipts_say(devchain, tmp_path):
    begun = await begin(devchain)
    await busy_rounds(devchain)
    whole, late = tmp_path / "whole.sqlite3", tmp_path / "late.sqlite3"
    async with Ledger(devchain.client, whole, PARTIES, begin_at=begun) as ledger:
        await ledger.advance(await head(devchain))
    async with Ledger(devchain.client, late, PARTIES) as ledger:
        await ledger.advance(await head(devchain))
        await redeem(devchain, RICH, face=ETH // 97, nonce=99)
        await ledger.advance(await head(devchain))
    async with a_subgraph(devchain, key="secret") as subgraph:
        fleet = _fleet(devchain, tmp_path / "fleet.yaml", subgraph.url)
        asked = ("report", "earnings", "--by", "gateway", "--fleet", fleet, "--json", "--ledger")
        expected = json.loads((await _run(*asked, whole)).stdout)["total"]
        without = json.loads((await _run(*asked, late)).stdout)["total"]
        told = await _run(*asked, late, "--history")
        assert told.exit_code == 0, told.stderr
        found = json.loads(told.stdout)["total"]
        subgraph.lies["rewardEvents"] = [
            {
                "id": "0xff-1",
                "timestamp": 1,
                "round": {"id": "1"},
                "transaction": {"id": "0x" + "ff" * 32, "blockNumber": "9"},
            }
        ]
        lied = await _run(*asked, late, "--history")
    assert "own parts of that time are not known" in told.stderr
    assert without["tickets"] == 1
    for name in ("face_value", "fees", "rewards"):
        assert int(found[name]) == int(expected[name]) + int(without[name]), name
    assert found["own_fees"] == without["own_fees"]
    assert json.loads(lied.stdout)["total"] == found
    assert "1 transaction(s) of the subgraph are not where it says" in lied.stderr


async def test_delegators__subgraph_lists_them__also_those_without_recent_logs_and_where_it_is_wrong(
    devchain, tmp_path
):
    await begin(devchain)
    async with a_subgraph(devchain, key="secret") as subgraph:
        fleet = _fleet(devchain, tmp_path / "fleet.yaml", subgraph.url)
        asked = ("chain", "delegators", "--fleet", fleet, "--since-block", await head(devchain) + 1, "--json")
        told = json.loads((await _run(*asked)).stdout)
        subgraph.lies["delegators"] = [{"id": RIVAL.address.lower(), "bondedAmount": "5"}]
        lied = json.loads((await _run(*asked)).stdout)
        subgraph.key = "another"
        locked = await _run(*asked)
    assert [one["address"] for one in told["delegators"]] == [DELEGATOR.address]
    assert told["unknown_stake_lptu"] == "0"
    assert (told["subgraph_differs"], told["source"][:12]) == ([], "the subgraph")
    assert lied["subgraph_differs"] == [RIVAL.address]
    assert {one["address"]: one["stake_lptu"] for one in lied["delegators"]}[RIVAL.address] == "0"
    assert locked.exit_code == 0
    assert "its key is wrong or missing" in locked.stderr
    assert json.loads(locked.stdout)["delegators"] == []
    gone = await _run(*asked)
    assert gone.exit_code == 0
    assert "does not answer" in gone.stderr
    unset = await _run(*asked, key="")
    assert unset.exit_code == 2
    assert "GRAPH_KEY is not set" in unset.stderr


async def test_client__more_than_a_page__asks_on_and_stops(devchain):
    await begin(devchain)
    async with a_subgraph(devchain) as subgraph, SubgraphClient(subgraph.url) as client:
        subgraph.lies["delegators"] = [{"id": f"0x{n:040x}", "bondedAmount": "1"} for n in range(2500)]
        assert len(await client.delegators(ORCHESTRATOR.address)) == 2500 + 2
        assert subgraph.asked == 3
        subgraph.lies["delegators"] = [{"id": "0xzz", "bondedAmount": "1"}]
        with pytest.raises(OutsideWorld, match="an address that is none"):
            await client.delegators(ORCHESTRATOR.address)
