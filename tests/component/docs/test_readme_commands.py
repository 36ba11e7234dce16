"""Every command that the README shows is run: here, or by the test named here."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from livefleet.cli.main import main

pytestmark = pytest.mark.component

CHECKOUT = Path(__file__).parents[3]
README = (CHECKOUT / "README.md").read_text()
BIN = Path(sys.executable).parent

RUN_ELSEWHERE = {
    "./run demo": "tests/e2e/test_demo.py",
    "./run down": "tests/e2e/test_demo.py",
    "./run test": ".ci/run",
    "./run setup": "tests/component/docs/test_run_script.py",
    ". .venv/bin/activate": "tests/component/docs/test_run_script.py",
}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def sessions() -> list[tuple[str, str]]:
    """(command, the output shown below it) of every console block."""
    found = []
    for block in blocks("console"):
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("readme")
    (fleet,) = blocks("yaml")
    assert len(fleet.splitlines()) == 10
    (made / "fleet.yaml").write_text(fleet)
    return made


@pytest.mark.parametrize(("command", "output"), sessions(), ids=[c for c, _ in sessions()])
def test_console_command__ends_well_and_prints_what_is_shown(folder, command, output):
    program, *arguments = shlex.split(command)
    done = subprocess.run([BIN / program, *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if output.strip():
        assert done.stdout == output


def test_shell_commands__each_is_run_by_a_test():
    shown = [line for block in blocks("sh") for line in block.splitlines() if line]
    assert shown
    for command in shown:
        assert (CHECKOUT / RUN_ELSEWHERE[command]).exists(), command


def test_commands_in_tables__exist():
    for verb in sorted(set(re.findall(r"`livefleet ([a-z-]+(?: [a-z-]+)?)", README))):
        done = CliRunner().invoke(main, [*verb.split(), "--help"])
        assert done.exit_code == 0, f"livefleet {verb}: {done.output}"


def test_links__lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (CHECKOUT / target).exists(), target


def test_exit_codes__are_those_of_the_code():
    from livefleet.kernel import ExitCode

    assert "0 done, 1 some of it failed and the summary says what, 2 bad input," in README
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3]
