"""`livefleet agent check`: every key of a node looked at, wherever it is."""

import asyncio
import json

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from livefleet.cli import main
from tests.builders.agents import free_port
from tests.builders.gateways import write_key
from tests.builders.web3signer import a_web3signer
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = pytest.mark.component


async def findings(folder, key: dict) -> dict[str, dict]:
    spec = {
        "fleet": "test",
        "name": "keeper",
        "root": str(folder),
        "role": "keykeeper",
        "gpus": "none",
        "network": {"name": "devchain", "rpc": ["http://127.0.0.1:9"], "controller": dev_signer(1).address},
        "keys": {"caller": key},
        "keykeeper": {"orchestrator": dev_signer(1).address, "keys": {"reward_caller": "caller"}},
        "monitoring": {"admin_listen": f"127.0.0.1:{free_port()}"},
    }
    node = folder / "node.yaml"
    with node.open("w") as file:
        YAML(typ="safe").dump(spec, file)
    words = ["agent", "check", str(node), "--json"]
    told = await asyncio.to_thread(lambda: CliRunner().invoke(main, words))
    assert told.exit_code == 1  # nobody is at the chain's address
    return {found["what"]: found for found in json.loads(told.stdout)["findings"]}


async def test_check__key_at_a_service__is_asked_for_there(tmp_path):
    address = dev_signer(5).address
    with a_web3signer(dev_secret(5)) as service:
        key = {"address": address, "remote": {"url": service.url}}
        found = (await findings(tmp_path, key))["key caller"]
        assert (found["ok"], found["message"]) == (True, f"{address} at {service.url}")
        assert service.signed == []
        service.keys.clear()
        found = (await findings(tmp_path, key))["key caller"]
        assert (found["ok"], f"holds no key of {address}; it holds none" in found["message"]) == (False, True)
    found = (await findings(tmp_path, key))["key caller"]
    assert (found["ok"], "cannot be reached" in found["message"]) == (False, True)


async def test_check__key_file__says_its_address_and_who_can_read_it(tmp_path):
    path = tmp_path / "var/lib/livefleet/keys/caller.hex"
    write_key(path, dev_secret(5))
    key = {"file": "keys/caller.hex"}
    assert (await findings(tmp_path, key))["key caller"]["message"] == dev_signer(5).address
    path.chmod(0o644)
    assert f"chmod 600 {path}" in (await findings(tmp_path, key))["file of caller"]["fix"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({"file": "keys/absent.hex"}, "cannot read the key file"),
        ({"file": "keys/caller.hex", "roles": ["cold"]}, "is cold: no node uses it"),
        ({"file": "keys/caller.hex", "address": dev_signer(6).address}, "declared is"),
        (
            {"file": "keys/caller.hex", "password_file": "passwords/absent"},
            "cannot read the passphrase of key 'caller'",
        ),
    ],
)
async def test_check__key_that_cannot_be_used__says_why(tmp_path, key, said):
    write_key(tmp_path / "var/lib/livefleet/keys/caller.hex", dev_secret(5))
    found = (await findings(tmp_path, key))["key caller"]
    assert found["ok"] is False
    assert said in found["message"]
