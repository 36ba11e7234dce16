"""The drain entry of pyinfra on this machine, and the command over ssh on real hosts: with a stand-in for the agent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.builders.deploys import ROOT

pytestmark = [pytest.mark.component, pytest.mark.timeout(600)]

BIN = Path(sys.executable).parent
STAND_IN = '#!/bin/sh\nid -un >>"{log}"\nprintf "%s\\n" "$@" >>"{log}"\n'


def declare(path, hosts, **defaults):
    document = {
        "version": 1,
        "name": "test",
        "secrets": {"join": {"env": "TEST_JOIN"}},
        "defaults": {"role": "worker", "worker": {"orchestrator": "127.0.0.1:1", "secret": "join"}, **defaults},
        "hosts": hosts,
    }
    with path.open("w") as file:
        YAML().dump(document, file)
    return path


def install(root, log):
    release = root / "opt/livefleet/releases/0.1.0-aaaa"
    program = release / "venv/bin/livefleet"
    program.parent.mkdir(parents=True)
    program.write_text(STAND_IN.format(log=log))
    program.chmod(0o755)
    (release / ".complete").touch()
    (root / "opt/livefleet/current").symlink_to("releases/0.1.0-aaaa")


def pyinfra(spec, *arguments):
    return subprocess.run(
        [str(BIN / "pyinfra"), "-y", "inventory/fleet.py", "deploys/drain.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "LIVEFLEET_SPEC": str(spec), "TEST_JOIN": "test-only"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


def test_pyinfra_drain__asks_the_agent_with_what_data_says(tmp_path):
    root, log = tmp_path / "solo", tmp_path / "log"
    spec = declare(tmp_path / "fleet.yaml", {"solo": {"address": "@local", "root": str(root)}})
    refused = pyinfra(spec)
    assert refused.returncode != 0
    assert "apply first" in refused.stdout + refused.stderr

    install(root, log)
    done = pyinfra(spec, "--data", "deadline=5m", "--data", "reason=new disk", "--data", "wait=true")
    assert done.returncode == 0, done.stdout + done.stderr
    node = f"{root}/etc/livefleet/node.yaml"
    assert log.read_text().splitlines()[1:] == ["agent", "drain", node, "--deadline=5m", "--reason=new disk", "--wait"]

    log.unlink()
    done = pyinfra(spec, "--data", "off=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert log.read_text().splitlines()[1:] == ["agent", "drain", node, "--off"]


def test_drain_over_ssh__runs_there_as_the_declared_user_and_one_host_away_hides_nobody(lab_hosts, tmp_path):
    lab = lab_hosts("as-root", "as-sudo")
    for host in lab.hosts.values():
        text = STAND_IN.format(log="/var/log/drained")
        host.run(
            "mkdir -p /opt/livefleet/current/venv/bin && cd /opt/livefleet/current/venv/bin"
            f" && cat >livefleet <<'END' && chmod 755 livefleet\n{text}END\n"
        )
    spec = declare(
        tmp_path / "fleet.yaml",
        {
            "as-root": {"address": lab.hosts["as-root"].address},
            "as-sudo": {"address": lab.hosts["as-sudo"].address, "ssh": {"user": "deploy", "sudo": True}},
            "no-rights": {"address": lab.hosts["as-root"].address, "root": "/srv/none", "ssh": {"user": "deploy"}},
            "away": {"address": "10.77.0.250", "ssh": {"connect_timeout_s": 3}},
        },
        ssh={"user": "root", "key": str(lab.key), "known_hosts": str(lab.known_hosts)},
    )
    command = [str(BIN / "livefleet"), "drain", str(spec), "--yes", "--no-wait", "--reason", "a b", "--json"]
    done = lab.run(command, timeout_s=200, check=False)
    hosts = {host["host"]: host for host in json.loads(done.stdout)["hosts"]}
    assert done.returncode == 1
    assert {name: host["outcome"] for name, host in hosts.items()} == {
        "as-root": "asked",
        "as-sudo": "asked",
        "no-rights": "failed",
        "away": "failed",
    }
    assert "/srv/none/opt/livefleet/current/venv/bin/livefleet" in hosts["no-rights"]["text"]
    for name in ("as-root", "as-sudo"):
        told = lab.hosts[name].run("cat /var/log/drained").stdout.splitlines()
        words = ["agent", "drain", "/etc/livefleet/node.yaml", "--json", "--deadline=600", "--reason=a b"]
        assert told == ["root", *words]
