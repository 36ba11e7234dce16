"""`livefleet keys plan --check-chain` against a real chain."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from livefleet.chain import make_keystore
from livefleet.cli import main
from livefleet.kernel import Wei
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

ETH = 10**18


async def plan(fleet):
    words = ["keys", "plan", str(fleet), "--check-chain", "--json"]
    found = await asyncio.to_thread(lambda: CliRunner().invoke(main, words))
    return found, {key["key"]: key for key in json.loads(found.stdout)["keys"]} if found.stdout else {}


async def test_plan__stake_and_savings_on_chain__are_found_where_they_must_not_be(devchain, tmp_path):
    orchestrator = dev_signer(1)
    await devchain.activate_orchestrator(orchestrator, service_uri="https://127.0.0.1:8935")
    identity = make_keystore(tmp_path / "id.json", "correct horse", kdf="pbkdf2", rounds=10)
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        f"name: demo\nnetwork: {{name: devchain, rpc: ['{devchain.info.rpc}'], "
        f"controller: '{devchain.info.controller}'}}\n"
        f"keys:\n  hidden: {{file: s.json, address: '{orchestrator.address}', roles: [identity]}}\n"
        "  own: {file: id.json, password: {env: PW}}\n"
        "defaults: {role: orchestrator, duties: [transcoding]}\nhosts:\n"
        f"  a: {{address: a, orchestrator: {{service_uri: 'https://a:8935', key: hidden, "
        f"recipient: '{orchestrator.address}'}}}}\n"
        f"  b: {{address: b, orchestrator: {{service_uri: 'https://b:8935', key: own, "
        f"recipient: '{orchestrator.address}'}}}}\n"
    )
    found, keys = await plan(fleet)
    assert found.exit_code == 2
    assert keys["hidden"]["verdict"] == "refused"
    assert (
        keys["hidden"]["holds"]["stake_lptu"] == await devchain.client.bonding.pending_stake(orchestrator.address) > 0
    )
    assert (keys["own"]["verdict"], keys["own"]["holds"]) == ("good", {"stake_lptu": 0, "balance_wei": 0})
    await devchain.give_eth(identity, Wei(3 * ETH))
    _, keys = await plan(fleet)
    assert keys["own"]["verdict"] == "refused"
    assert keys["own"]["holds"]["balance_wei"] == 3 * ETH


async def test_plan__chain_is_away__ends_with_3(tmp_path):
    fleet = tmp_path / "fleet.yaml"
    address = dev_signer(1).address
    fleet.write_text(
        f"name: demo\nnetwork: {{name: devchain, rpc: ['http://127.0.0.1:9'], controller: '{address}'}}\n"
        f"keys: {{main: {{file: k, address: '{address}'}}}}\n"
        "hosts:\n  a: {address: a, role: orchestrator, orchestrator: {service_uri: 'https://a:8935', key: main}}\n"
    )
    found, _ = await plan(fleet)
    assert found.exit_code == 3
    assert "127.0.0.1:9" in found.stderr
