"""Reports over the books of hosts, fetched where they are kept."""

import asyncio
import json
import sys

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.ledger import Ledger
from livefleet.spec import load_fleet, to_yaml
from tests.builders.busy_orchestrator import ORCHESTRATOR, PARTIES, begin, busy_rounds, head
from tests.builders.gateways import write_key
from tests.devchain.accounts import dev_secret

pytestmark = pytest.mark.component

FLEET = """\
name: demo
network: {{name: devchain, rpc: ['{rpc}'], controller: '{controller}', chain_id: 1337}}
keys: {{o: {{file: key, address: '{orchestrator}'}}}}
hosts:
  here:
    address: '@local'
    root: {root}
    role: orchestrator
    duties: [transcoding, ledger]
    orchestrator: {{service_uri: 'https://o.example.com:8935', key: o}}
    prices: {{video: 100000 wei}}
  idle:
    address: '@local'
    root: {root}/idle
    role: orchestrator
    duties: [transcoding]
    orchestrator: {{service_uri: 'https://p.example.com:8935', key: o, listen: '0.0.0.0:8936'}}
    prices: {{video: 100000 wei}}
"""


@pytest.fixture
async def fleet(devchain, tmp_path):
    """A fleet of this machine, whose program is the one under test; the first host has books of busy rounds."""
    info, root = devchain.info, tmp_path / "root"
    write_key(tmp_path / "key", dev_secret(1))
    path = tmp_path / "fleet.yaml"
    path.write_text(
        FLEET.format(rpc=info.rpc, controller=info.controller, orchestrator=ORCHESTRATOR.address, root=root)
    )
    node = load_fleet(path).node("here")
    program = root / "opt/livefleet/current/venv/bin/livefleet"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m livefleet "$@"\n')
    program.chmod(0o755)
    node.paths.node_yaml.parent.mkdir(parents=True)
    node.paths.node_yaml.write_text(to_yaml(node))
    begun = await begin(devchain)
    await busy_rounds(devchain)
    async with Ledger(devchain.client, node.paths.ledger, PARTIES, begin_at=begun) as ledger:
        await ledger.advance(await head(devchain))
    return path


async def _run(*words):
    return await asyncio.to_thread(CliRunner().invoke, main, [str(word) for word in words])


async def test_report__hosts_with_the_duty__are_asked_by_themselves(fleet):
    result = await _run("report", "earnings", "--fleet", fleet, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["total"]["tickets"], told["missing"]) == (12, [])
    expected = await _run("report", "yield", "--fleet", fleet, "--json")
    assert expected.exit_code == 0, expected.stderr
    assert json.loads(expected.stdout)["inputs"]["fees_90_days_eth"] != "0"


async def test_report__one_host_without_books__tells_the_others_and_ends_with_1(fleet):
    result = await _run("report", "tax", "here", "idle", "--fleet", fleet, "--csv")
    assert result.exit_code == 1
    assert "idle: " in result.stderr
    assert result.stdout.count("fee income") == 9
    none = await _run("report", "tax", "idle", "--fleet", fleet)
    assert none.exit_code == 3
    unknown = await _run("report", "tax", "elsewhere", "--fleet", fleet)
    assert unknown.exit_code == 2


async def test_chain_commands__network_and_orchestrator__are_those_of_the_spec(fleet):
    rank = await _run("chain", "rank", "--fleet", fleet, "--json")
    assert json.loads(rank.stdout)["address"] == ORCHESTRATOR.address
    told = await _run("chain", "round", "--fleet", fleet, "--json")
    assert json.loads(told.stdout)["own"]["address"] == ORCHESTRATOR.address
