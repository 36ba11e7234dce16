"""How `livefleet plan` and `apply --plan` end where what they are given is wrong. Nothing is looked at."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from livefleet.cli import main

pytestmark = pytest.mark.unit

FLEET = """\
version: 1
name: f
hosts:
  a: {address: a.example, role: worker, duties: [transcoding], worker: {orchestrator: 'o:1', secret: join}}
secrets: {join: {file: join}}
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bogus"], "No such option '--bogus'"),
        (["--parallel", "0"], "Invalid value for '--parallel'"),
        (["--fleet", "/nowhere/fleet.yaml"], "/nowhere/fleet.yaml: no such file"),
        (["b"], "no host `b`"),
    ],
)
def test_plan__wrong_input__is_4_since_2_means_changes(fleet: Path, words: list[str], said: str) -> None:
    given = words if "--fleet" in words else [*words, "--fleet", str(fleet)]
    done = CliRunner().invoke(main, ["plan", *given])
    assert (done.exit_code, done.stdout) == (4, "")
    assert said in done.stderr


def test_plan__spec_is_wrong__is_4_with_its_place(fleet: Path) -> None:
    fleet.write_text(FLEET.replace("role: worker", "role: wroker"))
    done = CliRunner().invoke(main, ["plan", "--fleet", str(fleet)])
    assert done.exit_code == 4
    assert f"{fleet}:4:" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--plan", "/nowhere/plan.json"], "make it with `livefleet plan --out`"),
        (["--plan", "plan.json", "--remove"], "give one of them"),
    ],
)
def test_apply__plan_cannot_be_used__is_bad_input(fleet: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["apply", "--yes", *words, "--fleet", str(fleet)])
    assert done.exit_code == 2
    assert said in done.stderr
