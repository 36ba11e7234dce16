"""The command line: `python -m tests.lab`."""

import secrets
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.component, pytest.mark.timeout(900)]


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tests.lab", *arguments]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=300)


def test_commands__a_lab_by_hand__goes_up_is_used_and_goes_down(lab_base) -> None:
    name = f"t{secrets.token_hex(3)}"
    try:
        up = lab("up", "one", "--lab", name)
        assert up.returncode == 0, up.stderr
        assert "one at 10.77.0.11: running" in up.stdout
        assert "up already" in lab("up", "one", "--lab", name).stdout
        assert f"lab {name}: kept" in lab("status").stdout
        assert lab("ssh", "--lab", name, "--user", "deploy", "one", "id -un").stdout == "deploy\n"
        assert lab("ssh", "--lab", name, "one", "exit 7").returncode == 7
        assert lab("ssh", "--lab", name, "none").stderr == f"Error: lab '{name}' has no host 'none'; it has: one\n"
        assert "10.77.0.1/24" in lab("run", "--lab", name, "--", "ip", "address").stdout
        assert lab("up", "two", "--lab", name).returncode == 0
        assert lab("ssh", "--lab", name, "one", "ping -c1 -W5 two").returncode == 0
        assert lab("down", "two", "--lab", name).stdout == "two: removed\n"
        assert "10.77.0.12" not in lab("status").stdout.partition(f"lab {name}:")[2]
    finally:
        down = lab("down", "--lab", name)
    assert down.stdout == f"lab {name}: removed\n"
    assert lab("down", "--lab", name).stderr == f"Error: there is no lab '{name}'\n"


def test_commands__not_root__say_so() -> None:
    # The interpreter itself may stand where only root can read, so privileges are dropped after it has started.
    script = "import os; from tests.lab.__main__ import cli; os.setuid(65534); cli(['up', 'one'])"
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "test hosts need root" in done.stderr


def test_help__every_command__is_described() -> None:
    for command in ("up", "down", "ssh", "status", "run", "reset", "clean"):
        assert lab(command, "--help").returncode == 0
        assert command in lab("--help").stdout
