import asyncio
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.kernel import ExitCode
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
