"""`livefleet apply`: what of its paid jobs is wrong before anything is changed, and how they are told."""

import json

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.control import FleetSmoke, HostResult, Outcome, SmokeJob, SmokeResult, SmokeStage, Summary
from livefleet.kernel import ExitCode

pytestmark = pytest.mark.unit

FLEET = """\
name: demo
network: {name: arbitrum-one-mainnet, rpc: ['http://127.0.0.1:1/']}
keys: {o: {file: o}, payer: {env: PAYER}}
smoke: {key: payer}
hosts:
  orch:
    address: a.example.com
    role: orchestrator
    duties: [transcoding]
    orchestrator: {service_uri: 'https://orch.example.com:8935', key: o}
"""


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    monkeypatch.delenv("PAYER", raising=False)
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return path


def run(fleet, *words):
    return CliRunner().invoke(main, ["apply", "--fleet", str(fleet), *words])


@pytest.mark.parametrize("words", [["--dry", "--smoke"], ["--yes", "--remove", "--smoke"]])
def test_smoke__where_nothing_can_have_changed__is_bad_input(fleet, words):
    done = run(fleet, *words)
    assert (done.exit_code, "there are none" in done.stderr) == (ExitCode.BAD_INPUT, True)


def test_smoke__key_cannot_be_read__is_said_before_any_host_is_reached(fleet):
    done = run(fleet, "--yes")
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "PAYER is not set" in done.stderr
    assert "--no-smoke applies without a paid job" in done.stderr


@pytest.fixture
def applied(monkeypatch):
    """What the run and the jobs after it come to, without hosts."""
    job = SmokeJob("video", "asks too much", failed_at=SmokeStage.PRICE, advice="see `livefleet price`")
    smoke = FleetSmoke((SmokeResult.of("orch", [job], 1.0),), {"gpu": "drained (new fan)"})
    summary = Summary((HostResult("orch", Outcome.CHANGED, ("config",)),))
    monkeypatch.setattr("livefleet.cli.apply.apply", lambda *_, **__: summary)
    monkeypatch.setattr("livefleet.cli.apply.smoke_applied", lambda *_, **__: Summary(summary.hosts, smoke=smoke))
    monkeypatch.setenv("PAYER", "11" * 32)


def test_smoke__failed__is_told_with_what_to_do_and_ends_with_1(fleet, applied):
    done = run(fleet, "--yes")
    assert done.exit_code == ExitCode.PARTLY_FAILED
    assert "orch: video failed at price: asks too much (see `livefleet price`)" in done.stdout
    assert "put that right, then `livefleet smoke orch`; `livefleet rollback orch`" in done.stdout
    assert "gpu: not tried: drained (new fan)" in done.stdout


def test_smoke__for_machines__has_jobs_and_who_was_left_out(fleet, applied):
    told = json.loads(run(fleet, "--yes", "--json").stdout)
    assert told["smoke"]["hosts"][0]["jobs"][0]["failed_at"] == "price"
    assert told["smoke"]["not_tried"] == {"gpu": "drained (new fan)"}
    assert told["hosts"][0]["outcome"] == "changed"


def test_no_smoke__nothing_is_tried_and_no_key_is_read(fleet, applied, monkeypatch):
    monkeypatch.delenv("PAYER")
    done = run(fleet, "--yes", "--no-smoke", "--json")
    assert (done.exit_code, json.loads(done.stdout)["smoke"]) == (ExitCode.DONE, None)


def test_no_key_declared__is_said_where_a_host_on_chain_was_changed(fleet, applied):
    fleet.write_text(FLEET.replace("smoke: {key: payer}", "smoke: {}"))
    done = run(fleet, "--yes")
    assert done.exit_code == ExitCode.DONE
    assert "not tried by a paid job: no `smoke.key` is declared" in done.stderr
