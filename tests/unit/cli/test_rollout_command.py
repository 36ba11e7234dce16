"""What `livefleet rollout` refuses, prints and ends with, without a host."""

import json

import pytest
from click.testing import CliRunner

from livefleet.cli.main import main
from livefleet.cli.rollout_show import exit_code_of, print_plan, print_result
from livefleet.control.journal import Deed, append_deed, state_folder
from livefleet.control.rollout import Phase, plan_batches, save_record
from livefleet.kernel import ExitCode
from livefleet.spec import RolloutSettings, load_fleet
from tests.builders.rollouts import a_member, a_record

pytestmark = pytest.mark.unit

FLEET = """\
name: f
network: {name: offchain}
rollout: {max_unavailable: 25%, canary: [m], bake_s: 5}
hosts: {m: {address: 10.0.0.1, role: monitor}}
"""


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LIVEFLEET_SPEC", str(tmp_path / "fleet.yaml"))
    (tmp_path / "fleet.yaml").write_text(FLEET)
    return load_fleet(tmp_path / "fleet.yaml")


def run(*words):
    return CliRunner().invoke(main, ["rollout", *words])


def a_plan(count=3):
    names = [f"w{n}" for n in range(count)]
    return a_record(plan_batches([a_member(n) for n in names], names, (), RolloutSettings()), names, bake_s=60)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dry", "--resume"], "give one of them"),
        ([], "give --yes"),
        (["--yes", "nobody"], "no host `nobody`"),
        (["--yes", "--resume"], "no rollout of this fleet to resume"),
        (["--forget"], "no rollout of this fleet to forget"),
        (["--yes", "--max-unavailable", "0%"], "neither a count"),
        (["--yes", "--bake", "soon"], "no length of time"),
    ],
)
def test_rollout__wrong_words__are_bad_input(fleet, words, said):
    done = run(*words)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert said in done.output + done.stderr


def test_rollout__one_was_cut_off__must_be_resumed_or_forgotten(fleet):
    save_record(state_folder(fleet) / "rollout.json", a_plan())
    done = run("--yes")
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "--resume goes on with it, --forget ends it" in done.output + done.stderr


def test_history__is_what_was_written_down(fleet):
    append_deed(
        state_folder(fleet) / "journal.jsonl", Deed(at=0, who="me@here", action="rollout r1", outcome="done", host="w0")
    )
    done = run("--history", "--json")
    assert json.loads(done.stdout)[0]["outcome"] == "done"
    assert "1970-01-01 00:00:00" in run("--history").stdout


def test_plan__for_people__says_batches_canaries_and_waits(capsys):
    record = a_plan()
    record.hosts["w2"].restarts = False
    print_plan(record, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "batch 1 (canary): w0, then 60 s to look at them"
    assert lines[2] == "batch 3: w2 (no restart)"
    assert lines[-1] == "3 to change, 0 as declared"


def test_result__for_machines__has_every_host(capsys):
    record = a_plan()
    record.hosts["w0"].phase, record.ended = Phase.WENT_BACK, "stopped"
    print_result(record, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert {name: host["outcome"] for name, host in told["hosts"].items()} == {
        "w0": "went back", "w1": "not begun", "w2": "not begun",
    }  # fmt: skip


def test_result__interrupted__says_what_every_host_was_left_as_and_how_to_go_on(capsys):
    record = a_plan(5)
    left = (Phase.DONE, Phase.EMPTYING, Phase.CHANGING, Phase.PROVING, Phase.GOING_BACK)
    for host, phase in zip(record.hosts.values(), left, strict=True):
        host.phase = phase
    print_result(record, as_json=False)
    said = capsys.readouterr().out
    for line in (
        "drained still, and unchanged: w1",
        "in the middle of their change, and drained where they restart: w2",
        "changed and in service, not proven: w3",
        "did not prove themselves, and have not gone back: w4",
        "to serve again as they are: `livefleet drain --host w1 --off`",
        "interrupted: `livefleet rollout --resume` goes on, `--forget` ends it where it stands",
    ):
        assert line in said
    assert exit_code_of(record, dry=False) is ExitCode.PARTLY_FAILED


@pytest.mark.parametrize(
    ("phases", "dry", "code"),
    [
        ((Phase.DONE, Phase.UNCHANGED), False, ExitCode.DONE),
        ((Phase.DONE, Phase.LATER), False, ExitCode.DONE),
        ((Phase.WAITING, Phase.UNCHANGED), True, ExitCode.DONE),
        ((Phase.WAITING, Phase.DONE), False, ExitCode.PARTLY_FAILED),
        ((Phase.WENT_BACK, Phase.DONE), False, ExitCode.PARTLY_FAILED),
        ((Phase.BLOCKED, Phase.WAITING), True, ExitCode.PARTLY_FAILED),
        ((Phase.BLOCKED, Phase.BLOCKED), False, ExitCode.OUTSIDE_SAID_NO),
    ],
)
def test_exit_code__follows_from_every_host(phases, dry, code):
    record = a_plan(len(phases))
    for host, phase in zip(record.hosts.values(), phases, strict=True):
        host.phase = phase
    assert exit_code_of(record, dry=dry) is code
