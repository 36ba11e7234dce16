import asyncio
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from livefleet.chain import load_key
from livefleet.cli import main
from livefleet.kernel import ExitCode
from tests.devchain.accounts import dev_signer
from tests.devchain.process import Process

pytestmark = pytest.mark.component


def _livefleet(*arguments: object):
    return CliRunner().invoke(main, ["devchain", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "chain"
    _livefleet("down", "--dir", tmp_path / "chain")


def test_devchain__by_hand__goes_up_moves_on_and_comes_down(folder):
    up = _livefleet("up", "--dir", folder, "--round-length", 20, "--json")
    assert up.exit_code == ExitCode.DONE, up.output
    info = json.loads(up.stdout)
    assert json.loads((folder / "devchain.json").read_text()) == info
    again = json.loads(_livefleet("up", "--dir", folder, "--json").stdout)
    assert again == info

    before = json.loads(_livefleet("status", "--dir", folder, "--json").stdout)
    mined = json.loads(_livefleet("mine", 5, "--dir", folder, "--json").stdout)
    assert mined["block"] == before["block"] + 5
    moved = json.loads(_livefleet("round", "--dir", folder, "--json").stdout)
    status = json.loads(_livefleet("status", "--dir", folder, "--json").stdout)
    assert moved["round"] == status["round"] > before["round"]
    assert status["round_initialized"]

    assert json.loads(_livefleet("down", "--dir", folder, "--json").stdout) == {"ended": True}
    assert json.loads(_livefleet("down", "--dir", folder, "--json").stdout) == {"ended": False}


def test_devchain__none_runs__says_how_to_start_one(folder):
    result = _livefleet("status", "--dir", folder)
    assert result.exit_code == ExitCode.BAD_INPUT
    assert f"livefleet devchain up --dir {folder}" in result.stderr


def test_devchain__bad_settings__are_refused(folder):
    assert _livefleet("up", "--dir", folder, "--round-length", 3).exit_code == ExitCode.BAD_INPUT
    assert not folder.exists()


def test_down__pid_that_belongs_to_another_process_now__is_left_alone(folder):
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        Process(pid=bystander.pid, started="1", rpc="http://127.0.0.1:9", chain_id=1337).write(folder)
        assert json.loads(_livefleet("down", "--dir", folder, "--json").stdout) == {"ended": False}
        assert bystander.poll() is None
        bystander.communicate(b"\n")


async def test_up__port_that_is_taken__is_refused(folder):
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        result = await asyncio.to_thread(_livefleet, "up", "--dir", folder, "--port", port)
    assert result.exit_code == ExitCode.BAD_INPUT
    assert f"port {port} is taken" in result.stderr


@pytest.fixture
def running(folder):
    assert _livefleet("up", "--dir", folder, "--round-length", 20).exit_code == ExitCode.DONE
    return folder


def _json(*arguments: object):
    done = _livefleet(*arguments, "--json")
    assert done.exit_code == ExitCode.DONE, done.output
    return json.loads(done.stdout)


def test_account__key_file__is_private_and_made_once(running, tmp_path):
    key = tmp_path / "orchestrator.hex"
    arguments = ("account", 1, "--out", key, "--lpt", "1000.5", "--eth", "2000000", "--dir", running)
    made = _json(*arguments)
    assert made["address"] == load_key(key).address == dev_signer(1).address
    assert (made["lptu"], made["wei"]) == (10005 * 10**17, 2 * 10**24)
    assert key.stat().st_mode & 0o777 == 0o600
    assert _json(*arguments) == made
    assert _json("account", 1, "--out", key, "--lpt", 5, "--dir", running)["lptu"] == made["lptu"]


def test_account__file_of_something_else__is_left_alone(running, tmp_path):
    key = tmp_path / "precious"
    key.write_text("mine")
    refused = _livefleet("account", 1, "--out", key, "--lpt", 5, "--dir", running)
    assert refused.exit_code == ExitCode.BAD_INPUT
    assert "holds something else" in refused.stderr
    assert key.read_text() == "mine"


@pytest.mark.parametrize("amount", ["-1", "much", "0.0000000000000000001"])
def test_account__amount_that_is_none__is_refused(running, tmp_path, amount):
    refused = _livefleet("account", 1, "--out", tmp_path / "key", f"--lpt={amount}", "--dir", running)
    assert refused.exit_code == ExitCode.BAD_INPUT
    assert not (tmp_path / "key").exists()


def test_fund__again__adds_only_what_is_lacking(running):
    gateway = dev_signer(4).address
    arguments = ("fund", gateway, "--deposit", 1, "--reserve", "0.5", "--dir", running)
    funded = _json(*arguments)
    assert funded == {"gateway": gateway, "deposit_wei": 10**18, "reserve_wei": 5 * 10**17}
    assert _json(*arguments) == funded
    assert _json("fund", gateway.lower(), "--deposit", 2, "--dir", running)["deposit_wei"] == 2 * 10**18


@pytest.mark.parametrize("address", ["0x12", "gateway", dev_signer(4).address.replace("A", "a", 1)])
def test_fund__address_that_is_none__is_refused(running, address):
    assert _livefleet("fund", address, "--deposit", 1, "--dir", running).exit_code == ExitCode.BAD_INPUT


def test_propose__again__names_the_same_proposal(running):
    made = _json("propose", "--dir", running)
    again = _json("propose", "--dir", running)
    assert made["proposal"] == again["proposal"]
    assert (made["was_there"], again["was_there"]) == (False, True)
    assert made["voting_begins_in_round"] == made["round"] + 2
    other = _json("propose", "--description", "another", "--lpt", 1, "--dir", running)
    assert other["proposal"] != made["proposal"]


def test_reorg__blocks__undoes_what_was_mined_in_them(running, tmp_path):
    _json("fund", dev_signer(4).address, "--deposit", 1, "--dir", running)
    before = _json("status", "--dir", running)["block"]
    assert _json("reorg", 1, "--dir", running) == {"block": before, "undone": 1}
    assert _json("fund", dev_signer(4).address, "--dir", running)["deposit_wei"] == 0
    assert _livefleet("reorg", 64, "--dir", running).exit_code == ExitCode.BAD_INPUT


def test_gas_price__is_the_base_fee_of_the_next_block(running):
    assert _json("gas-price", 7 * 10**9, "--dir", running)["base_fee_wei"] == 7 * 10**9
    assert _livefleet("gas-price", 0, "--dir", running).exit_code == ExitCode.BAD_INPUT


def test_up__older_protocol__says_so(folder):
    info = _json("up", "--protocol", "2024", "--dir", folder)
    assert info["protocol"] == _json("status", "--dir", folder)["protocol"] == "2024"
    assert _livefleet("up", "--protocol", "1999", "--dir", folder).exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    "act", [("fund", dev_signer(4).address), ("propose",), ("reorg", 1), ("gas-price", 1)], ids=lambda act: act[0]
)
def test_acts__no_chain_runs__say_how_to_start_one(folder, act):
    refused = _livefleet(*act, "--dir", folder)
    assert refused.exit_code == ExitCode.BAD_INPUT
    assert "livefleet devchain up" in refused.stderr
