"""`livefleet agent check` and `agent run` over good and bad node specs."""

import json
import subprocess
import sys

import pytest
from eth_account import Account
from ruamel.yaml import YAML

from tests.builders.agents import free_port
from tests.builders.chain import a_devchain
from tests.builders.gateways import write_key
from tests.builders.paid_nodes import ORCHESTRATOR, network_of
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

OWN, OTHER = dev_signer(ORCHESTRATOR).address, dev_signer(ORCHESTRATOR + 1).address
PASSPHRASE = "test-only passphrase"


def agent(verb, node_yaml, *options):
    command = [sys.executable, "-m", "livefleet", "agent", verb, str(node_yaml), *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def write_node(root, **fields):
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    spec = {
        "fleet": "test",
        "name": "node",
        "root": str(root),
        "role": "orchestrator",
        "network": {"name": "offchain"},
        "gpus": "none",
        "duties": ["transcoding"],
        "monitoring": {"admin_listen": f"127.0.0.1:{free_port()}"},
        "orchestrator": {"service_uri": f"https://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"},
    }
    path = root / "node.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(spec | fields, file)
    return path


def findings(done):
    return {f["what"]: (f["ok"], f["message"]) for f in json.loads(done.stdout)["findings"]}


async def test_check__all_is_there__ends_with_0(tmp_path):
    write_key(tmp_path / "var/lib/livefleet/keys/orchestrator.hex", dev_secret(ORCHESTRATOR))
    async with a_devchain(tmp_path / "chain") as chain:
        node = write_node(
            tmp_path,
            network=network_of(chain.info),
            keys={"orchestrator": {"file": "keys/orchestrator.hex", "address": OWN}},
        )
        done = agent("check", node, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = findings(done)
    assert found["key orchestrator"] == (True, OWN)
    assert found["chain"] == (True, "chain id 1337")
    assert found["front door"][0]
    assert dev_secret(ORCHESTRATOR).hex() not in done.stdout + done.stderr


def test_check__several_faults__names_each_and_ends_with_1(tmp_path):
    keys = tmp_path / "var/lib/livefleet/keys"
    write_key(keys / "other.hex", dev_secret(ORCHESTRATOR))
    (keys / "locked.json").write_text(json.dumps(Account.encrypt(dev_secret(ORCHESTRATOR), PASSPHRASE, iterations=2)))
    (keys / "passphrase").write_text("test-only, but another\n")
    closed = free_port()
    node = write_node(
        tmp_path,
        network={
            "name": "devchain", "rpc": [f"http://127.0.0.1:{closed}"], "chain_id": 1337, "controller": "0x" + "11" * 20,
        },
        keys={
            "missing": {"file": "keys/nowhere.hex"},
            "mixed-up": {"file": "keys/other.hex", "address": OTHER},
            "locked": {"file": "keys/locked.json", "password_file": "keys/passphrase"},
        },
        secrets={"workers": "secrets/nowhere"},
    )  # fmt: skip
    done = agent("check", node, "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    found = findings(done)
    assert {what for what, (ok, _) in found.items() if not ok} == {
        "key missing", "key mixed-up", "key locked", "secret workers", "chain",
    }  # fmt: skip
    assert str(keys / "nowhere.hex") in found["key missing"][1]
    assert f"is the key of {OWN}, declared is {OTHER}" in found["key mixed-up"][1]
    assert "passphrase" in found["key locked"][1]
    assert "secrets/nowhere" in found["secret workers"][1]
    assert str(closed) in found["chain"][1]
    assert "Traceback" not in done.stderr

    told = agent("check", node)  # the same for people
    assert told.returncode == 1
    assert told.stdout.count("FAIL") == 5
    assert "FAIL  key mixed-up: " in told.stdout


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ({"file": "keys/nowhere.hex"}, "nowhere.hex"),
        ({"file": "keys/own.hex", "address": OTHER}, f"is the key of {OWN}, declared is {OTHER}"),
        ({"file": "keys/locked.json", "password_file": "keys/passphrase"}, "passphrase"),
    ],
    ids=["missing", "of another account", "wrong passphrase"],
)
def test_run__key_is_wrong__stops_at_once_with_2(tmp_path, key, says):
    keys = tmp_path / "var/lib/livefleet/keys"
    write_key(keys / "own.hex", dev_secret(ORCHESTRATOR))
    (keys / "locked.json").write_text(json.dumps(Account.encrypt(dev_secret(ORCHESTRATOR), PASSPHRASE, iterations=2)))
    (keys / "passphrase").write_text("test-only, but another\n")
    port = free_port()
    node = write_node(
        tmp_path,
        network={
            "name": "devchain", "rpc": [f"http://127.0.0.1:{free_port()}"], "chain_id": 1337,
            "controller": "0x" + "11" * 20,
        },
        keys={"orchestrator": key},
        orchestrator={
            "service_uri": f"https://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}", "key": "orchestrator"
        },
    )  # fmt: skip
    done = agent("run", node)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("fleet: test\nname: [node\n", "", "node.yaml:"),
        ("fleet: test\nname: node\nrole: orchestrator\nduteis: [transcoding]\n", ":4:1: ", "duties"),
        (
            "fleet: test\nname: node\nrole: worker\nworker:\n  orchestrator: here:1\n  secret: s\n  capacity: none\n",
            ":7:13: ",
            "capacity",
        ),
    ],
    ids=["no YAML", "unknown key", "wrong value"],
)  # fmt: skip
def test_node_yaml__malformed__is_refused_with_its_place(tmp_path, verb, text, line, says):
    node = tmp_path / "node.yaml"
    node.write_text(text)
    done = agent(verb, node)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"node.yaml{line}" in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_node_yaml__not_there__is_refused(tmp_path):
    done = agent("check", tmp_path / "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr
