"""The run script itself: repeatable, and clear about what it does not know."""

import hashlib
import shutil
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


@pytest.mark.parametrize(
    ("failing", "code"),
    [
        ("nothing", 0),
        ("e2e and fleet", 1),
        ("chain or payments) and", 1),
        ("not (fleet", 1),
        ("e2e and alone", 1),
        ("-m not e2e", 1),
    ],
)
def test_test__ends_as_its_parts_do(tmp_path, failing, code):
    for name in ("run", "requirements.lock", "pyproject.toml", "weights.lock"):
        shutil.copy(CHECKOUT / name, tmp_path)
    tools = tmp_path / ".venv/bin"
    tools.mkdir(parents=True)
    (tmp_path / ".venv/pyvenv.cfg").write_text(f"command = python -m venv {tmp_path}/.venv\n")
    locks = (tmp_path / "requirements.lock").read_bytes() + (tmp_path / "pyproject.toml").read_bytes()
    stamp, weights = hashlib.sha256(locks), hashlib.sha256((tmp_path / "weights.lock").read_bytes())
    (tmp_path / f".venv/.livefleet-{stamp.hexdigest()[:16]}").touch()
    (tmp_path / f".venv/.weights-{weights.hexdigest()[:16]}").touch()
    for name in ("python", "pytest", "ruff", "lint-imports", "mypy"):
        (tools / name).write_text(f'#!/bin/sh\ncase "$*" in *"{failing}"*) exit 1 ;; esac\n')
        (tools / name).chmod(0o755)

    done = subprocess.run(
        ["./run", "test"], cwd=tmp_path, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )

    assert done.returncode == code, done.stderr
    assert ("everything passed" in done.stderr) == (code == 0)
