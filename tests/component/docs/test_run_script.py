"""The run script itself: repeatable, and clear about what it does not know."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.component

CHECKOUT = Path(__file__).parents[3]


def run(*arguments: str):
    return subprocess.run(
        ["bash", "-c", *arguments], cwd=CHECKOUT, capture_output=True, text=True, timeout=280, stdin=subprocess.DEVNULL
    )


def test_setup_again__changes_nothing_and_the_environment_has_the_command():
    done = run("./run setup 2>/dev/null && ./run setup && . .venv/bin/activate && livefleet --version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("livefleet, version ")
    assert "==>" not in done.stderr


def test_no_command__lists_what_there_is():
    done = run("./run")
    assert done.returncode == 0
    assert {line.split()[1] for line in done.stdout.splitlines()} >= {"demo", "down", "test", "lint", "bench"}


def test_unknown_command__is_bad_input():
    assert run("./run fly").returncode == 2
