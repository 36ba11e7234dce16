"""The programs of monitoring on a host: facts in, commands out; nothing changes before their own tools have read it."""

import base64
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploys import steps
from deploys.facts import FileFact, Listener, Observed, ProgramFact
from deploys.facts.monitoring import parse_programs, parse_stamps
from deploys.outcome import Outcome, Shell
from deploys.steps.monitoring import forget_programs, program_files
from livefleet.monitoring import Program, Source, fleet_programs
from livefleet.spec import FirewallSettings
from tests.builders.deploys import a_host, a_node
from tests.builders.monitored import FLEET, a_monitored_fleet

pytestmark = pytest.mark.unit

NODE = a_node()
RUNS = ProgramFact(active=True, enabled=True)
PROGRAM = Program(
    "prometheus",
    "prometheus",
    "/usr/bin/prometheus",
    Source.DISTRIBUTION,
    "prometheus",
    ("--flag",),
    {"prometheus.yml": "a: 1\n", "targets/a.json": "[]\n"},
    {"secrets/token": "token"},
    ("promtool check config prometheus.yml",),
    watched=("targets",),
)
SECRETS = {"/etc/livefleet/monitor/prometheus/secrets/token": b"secret value"}


def shell(outcome: Outcome) -> Shell:
    (command,) = outcome.commands
    assert isinstance(command, Shell)
    return command


def settled(program: Program, host: Observed | None = None) -> Observed:
    """A host on which it is as declared."""
    files = {
        file.path: FileFact(mode=file.mode, owner=file.owner or "root", sha256=file.sha256)
        for file in program_files(program, SECRETS)
    }
    installed = replace(host or a_host(), files=files, programs={program.unit: RUNS})
    (line,) = [line for line in shell(bring(program, installed)).text.splitlines() if "printf '%s\\n' '" in line]
    started, read = line.split("printf '%s\\n' '")[1].split("'")[0].split()
    return replace(installed, stamps={program.name: (started, read)})


def bring(program: Program, host: Observed) -> Outcome:
    return steps.monitoring((program,), SECRETS, NODE, host)


def test_missing_packages__those_of_the_distribution_alone(tmp_path: Path) -> None:
    fleet = a_monitored_fleet(tmp_path, FLEET.replace("scrape_every_s: 5", "loki: true"))
    programs = fleet_programs(fleet, "mon")
    assert steps.missing_packages(programs, a_host()) == [
        "prometheus", "prometheus-alertmanager", "prometheus-node-exporter",
    ]  # fmt: skip
    there = a_host(programs={"prometheus.service": ProgramFact(active=False, enabled=False)})
    assert "prometheus" not in steps.missing_packages(programs, there)


def test_bare_host__is_checked_then_put_in_place_then_started() -> None:
    outcome = bring(PROGRAM, a_host())
    text = shell(outcome).text
    order = [
        "cp -a /etc/livefleet/monitor/prometheus /etc/livefleet/monitor/prometheus.livefleet-new",
        "promtool check config prometheus.yml",
        "mv -f /etc/livefleet/monitor/prometheus.livefleet-new/prometheus.yml /etc/livefleet/monitor/prometheus/prom",
        "systemctl daemon-reload",
        "systemctl enable --quiet prometheus.service",
        "systemctl restart prometheus.service",
        "> /opt/livefleet/monitor/prometheus",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert outcome.notes[-1] == "start prometheus"


def test_secret__is_in_no_text_no_note_and_no_diff() -> None:
    outcome = bring(PROGRAM, a_host())
    told = " ".join([shell(outcome).text, *outcome.notes, *outcome.diff, repr(outcome)])
    assert "secret value" not in told
    assert base64.b64encode(b"secret value").decode() not in told
    assert base64.b64encode(b"secret value").decode() in shell(outcome).stdin
    assert "chown prometheus: /etc/livefleet/monitor/prometheus.livefleet-new/secrets/token.livefleet-new" in told


def test_as_declared__is_no_change() -> None:
    assert bring(PROGRAM, settled(PROGRAM)) == Outcome()


@pytest.mark.parametrize(
    ("change", "does", "does_not"),
    [
        ({"files": {**PROGRAM.files, "prometheus.yml": "a: 2\n"}}, "systemctl reload", "systemctl restart"),
        ({"files": {**PROGRAM.files, "targets/a.json": "[1]\n"}}, "targets/a.json", "systemctl re"),
        ({"arguments": ("--other",)}, "systemctl restart", "systemctl reload"),
        ({"files": {"prometheus.yml": "a: 1\n"}}, "systemctl reload", "systemctl restart"),
        ({"files": {**PROGRAM.files, "prometheus.yml": "a: 2\n"}, "reloads": False}, "systemctl restart", "reload pro"),
    ],
)
def test_change__costs_no_more_than_it_must(change: dict, does: str, does_not: str) -> None:
    text = shell(bring(replace(PROGRAM, **change), settled(PROGRAM))).text
    assert does in text
    assert does_not not in text


def test_file_that_is_declared_no_more__goes() -> None:
    text = shell(bring(replace(PROGRAM, files={"prometheus.yml": "a: 1\n"}), settled(PROGRAM))).text
    assert "find . -type f ! -path ./prometheus.yml ! -path ./secrets/token -delete" in text


@pytest.mark.parametrize("fact", [ProgramFact(active=False, enabled=True), ProgramFact(active=True, enabled=False)])
def test_stopped_or_disabled_by_hand__is_started_again(fact: ProgramFact) -> None:
    host = replace(settled(PROGRAM), programs={PROGRAM.unit: fact})
    assert "systemctl restart prometheus.service" in shell(bring(PROGRAM, host)).text


def test_cut_off_before_its_start__starts_it_the_next_time() -> None:
    host = replace(settled(PROGRAM), stamps={})
    assert "systemctl restart prometheus.service" in shell(bring(PROGRAM, host)).text


def test_declared_no_more__is_stopped_and_its_files_go() -> None:
    there = a_host(files={PROGRAM.drop_in_path: FileFact(mode=0o644, owner="root", sha256="x")})
    outcome = steps.monitoring((), {}, NODE, there)
    assert "systemctl disable --now --quiet prometheus.service" in shell(outcome).text
    assert "rm -rf /etc/livefleet/monitor/prometheus /opt/livefleet/monitor/prometheus" in shell(outcome).text
    assert outcome.notes == ("stop prometheus: declared no more",)
    assert steps.monitoring((), {}, NODE, a_host()) == Outcome()


def test_program_of_somebody_s_own__is_left_alone_and_the_host_refused() -> None:
    theirs = a_host(programs={PROGRAM.unit: RUNS})
    assert "`systemctl disable --now prometheus.service`" in (bring(PROGRAM, theirs).refusal or "")
    stopped = a_host(programs={PROGRAM.unit: ProgramFact(active=False, enabled=True)})
    assert bring(PROGRAM, stopped).refusal is None


def test_host_that_cannot__is_refused_before_anything() -> None:
    assert bring(PROGRAM, a_host(systemd=False)).refusal
    grafana = replace(PROGRAM, name="grafana", package="grafana", source=Source.GRAFANA_LABS, secrets={})
    assert "no apt-get" in (bring(grafana, a_host(apt=False)).refusal or "")


def test_grafana_labs_packages__from_their_source__by_the_key_of_that_fingerprint() -> None:
    loki = replace(PROGRAM, name="loki", package="loki", source=Source.GRAFANA_LABS, secrets={})
    lines = shell(bring(loki, a_host())).text.splitlines()
    assert (
        "trust https://apt.grafana.com/gpg.key B53AE77BADB630A683046005963FA27710458545"
        " /etc/apt/keyrings/livefleet-grafana.gpg" in lines
    )
    (source,) = [line for line in lines if "sources.list.d" in line and "printf" in line]
    assert source == (
        "umask 022; printf '%s\\n' 'deb [signed-by=/etc/apt/keyrings/livefleet-grafana.gpg] https://apt.grafana.com"
        " stable main' > /etc/apt/sources.list.d/livefleet-grafana.list"
    )
    only = "-o Dir::Etc::sourcelist=/etc/apt/sources.list.d/livefleet-grafana.list -o Dir::Etc::sourceparts=-"
    assert f"apt-get -q {only} -o APT::Get::List-Cleanup=0 update" in lines
    assert lines.index("}") < lines.index(next(line for line in lines if line.startswith("trust https")))
    there = settled(loki)
    assert "apt-get" not in shell(bring(replace(loki, arguments=("--x",)), there)).text


def test_scripts__are_shell(tmp_path: Path) -> None:
    grafana = replace(PROGRAM, name="grafana", package="grafana", source=Source.GRAFANA_LABS, secrets={})
    for text in (shell(bring(grafana, a_host())).text, "\n".join(forget_programs())):
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_script__check_fails__leaves_what_runs_as_it_is(tmp_path: Path) -> None:
    refused = replace(PROGRAM, checks=("false",), secrets={})
    command = shell(bring(refused, settled(PROGRAM)))
    text = command.text.replace("/etc/livefleet", f"{tmp_path}/etc").replace("/opt/livefleet", f"{tmp_path}/opt")
    live = tmp_path / "etc/monitor/prometheus"
    (live / "targets").mkdir(parents=True)
    (live / "prometheus.yml").write_text("a: 0\n")
    done = subprocess.run(
        ["sh", "-c", text], input="\n".join(command.stdin) + "\n", text=True, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert "`false` does not take the new files; what runs stays as it is" in done.stderr
    assert (live / "prometheus.yml").read_text() == "a: 0\n"
    assert not (tmp_path / "opt/monitor/prometheus").exists()


def test_facts__of_programs__are_read() -> None:
    lines = ["prometheus.service active enabled", "loki.service inactive Failed to get unit file state"]
    assert parse_programs(lines) == {
        "prometheus.service": RUNS,
        "loki.service": ProgramFact(active=False, enabled=False),
    }
    assert parse_stamps(["prometheus aa bb", "half cc"]) == {"prometheus": ("aa", "bb")}


def test_firewall__door_for_monitors_alone__and_a_monitor_s_door_for_everybody() -> None:
    settings = FirewallSettings(mode="managed", monitors=("10.0.0.9/32",))
    secrets = {"t": "secrets/t"}
    node = a_node(monitoring={"scrape": {"token": "t"}}, secrets=secrets)
    lines = steps.render_firewall(settings, node, (22,)).splitlines()
    assert "    ip saddr { 10.0.0.9/32 } tcp dport 7937 accept # scrape door" in lines
    monitor = a_node(
        role="monitor", orchestrator=None, monitor={"listen": "0.0.0.0:7938", "token": "t"}, secrets=secrets
    )
    lines = steps.render_firewall(settings, monitor, (22,)).splitlines()
    assert "    tcp dport 7938 accept # hosts that push" in lines
    nobody = steps.render_firewall(FirewallSettings(mode="managed"), node, (22,))
    assert "7937" not in nobody


def test_preflight__door_s_port_is_held__says_by_whom_and_for_whom_it_was() -> None:
    node = a_node(monitoring={"scrape": {"token": "t"}}, secrets={"t": "secrets/t"})
    held = a_host(listeners=(Listener(7937, 12, own=False, unit="other.service", program="other"),))
    refusal = steps.preflight(node, held, now=held.clock, sudo=False, room=None).refusal or ""
    assert "port 7937, wanted for monitors, is held by another program: other (other.service)" in refusal
