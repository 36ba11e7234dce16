"""`livefleet doctor` on a host that is well, and then on one that is broken in many ways: each is found."""

import json
import sys
from pathlib import Path

import pytest

from tests.builders.deploys import a_checkout
from tests.lab.lab import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BIN = Path(sys.executable).parent
FLEET = """\
name: lab
network: offchain
secrets: {{join: {{file: {folder}/join}}}}
defaults:
  ssh: {{user: deploy, sudo: true, key: {ssh_key}, known_hosts: {known_hosts}, connect_timeout_s: 3}}
  profile: cpu
hosts:
  node:
    address: {node}
    role: orchestrator
    duties: []
    orchestrator: {{service_uri: "https://{name}:8935", worker_secret: join}}
{more}
"""
AWAY = """\
  away:
    address: 203.0.113.9
    role: worker
    duties: [transcoding]
    worker: {orchestrator: "node:8935", secret: join}
"""


class Place:
    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.host = lab.hosts["node"]
        self.checkout = a_checkout(folder / "checkout")
        (folder / "join").write_text("test-only-secret")

    def say(self, *, name: str | None = None, more: str = "") -> None:
        text = FLEET.format(
            folder=self.folder, node=self.host.address, name=name or self.host.address, more=more,
            ssh_key=self.lab.key, known_hosts=self.lab.known_hosts,
        )  # fmt: skip
        (self.folder / "fleet.yaml").write_text(text)

    def livefleet(self, *words: str):
        fleet = ("--fleet", str(self.folder / "fleet.yaml"))
        return self.lab.run(
            [str(BIN / "livefleet"), *words, *fleet], timeout_s=300, check=False, cwd=self.checkout,
            env={"PYTHONPATH": str(self.checkout), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(Path.home())},
        )  # fmt: skip

    def doctor(self, *words: str) -> tuple[int, dict[str, set[tuple[str, str, str]]], dict[str, str]]:
        """Exit code, what is not well by host, and the fixes by what they are for."""
        done = self.livefleet("doctor", "--json", *words)
        hosts = json.loads(done.stdout)["hosts"]
        bad = {
            host["host"]: {
                (f["grade"], f["area"], f["what"]) for f in host["findings"] if f["grade"] in {"warn", "fail"}
            }
            for host in hosts
        }
        return done.returncode, bad, {f["what"]: f["fix"] for host in hosts for f in host["findings"] if f["fix"]}


@pytest.fixture(scope="module")
def place(lab_hosts, tmp_path_factory):
    made = Place(lab_hosts("node"), tmp_path_factory.mktemp("doctor"))
    made.say()
    before = made.livefleet("doctor", "node")
    assert before.returncode == 1, before.stderr
    assert "livefleet apply" in before.stdout.replace("\n", " "), "a bare host says what brings the agent"
    done = made.livefleet("apply", "--yes")
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return made


def test_doctor__host_as_apply_leaves_it__has_nothing_wrong(place):
    code, bad, _ = place.doctor()
    assert code == 0, bad
    assert [found for found in bad["node"] if found[0] == "fail"] == []


def test_doctor__broken_host_and_one_that_is_away__finds_each_with_the_fix(place):
    place.host.run(
        """
        set -e
        systemctl stop livefleet
        systemd-run --quiet --unit other python3 -m http.server 8935
        touch /run/reboot-required
        sed -i 's/log_level: INFO/log_level: DEBUG/' /etc/livefleet/node.yaml
        grep -q 'log_level: DEBUG' /etc/livefleet/node.yaml
        mount -t tmpfs -o size=64m,mode=0755 full /var/lib/livefleet
        """
    )

    place.say(more=AWAY)
    code, bad, fixes = place.doctor()
    assert code == 1
    assert ("fail", "host", "ssh") in bad["away"], "what is away hides nothing of the others"
    door = f"https://{place.host.address}:8935"
    assert bad["node"] >= {
        ("fail", "service", "agent"),
        ("fail", "certificate", door),
        ("warn", "host", "reboot"),
        ("warn", "spec", "fleet file"),
        ("fail", "disk", "/var/lib/livefleet"),
        ("fail", "keys", "secret join"),
    }
    assert "systemctl status livefleet" in fixes["agent"]
    assert "livefleet apply node" in fixes["fleet file"]

    place.say(name="no-such-name.invalid")
    code, bad, _ = place.doctor()
    assert ("fail", "dns", "https://no-such-name.invalid:8935") in bad["node"]

    place.host.run("umount /var/lib/livefleet; systemctl stop other; rm /run/reboot-required")
    place.say()
    assert place.livefleet("apply", "--yes").returncode == 0
    code, bad, _ = place.doctor("--all")
    assert (code, [found for found in bad["node"] if found[0] == "fail"]) == (0, [])
