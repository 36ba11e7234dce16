"""The deploy over ssh on real hosts with systemd: as root, and as a user with sudo."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.lab.lab import Lab

pytestmark = [pytest.mark.component, pytest.mark.timeout(900)]

SECRET = "test-only-join-secret"
BOOTED = ["packages", "machine", "agent", "config", "service"]


@dataclass
class Site:
    lab: Lab
    checkout: Path
    spec: Path

    def declare(self, hosts: dict[str, dict[str, Any]]) -> None:
        document = {
            "version": 1,
            "name": "test",
            "secrets": {"join": {"file": "join.txt"}},
            "defaults": {
                "role": "worker",
                "worker": {"orchestrator": "127.0.0.1:1", "secret": "join"},
                "ssh": {"user": "root", "key": str(self.lab.key), "known_hosts": str(self.lab.known_hosts)},
            },
            "hosts": hosts,
        }
        with self.spec.open("w") as file:
            YAML().dump(document, file)

    def livefleet(self, *arguments: str) -> tuple[int, dict[str, dict[str, Any]], str]:
        command = [str(Path(sys.executable).with_name("livefleet")), *arguments, "--fleet", str(self.spec), "--json"]
        done = self.lab.run(command, timeout_s=400, check=False, cwd=self.checkout)
        return done.returncode, {h["host"]: h for h in json.loads(done.stdout)["hosts"]}, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(lab_hosts: Callable[..., Lab], checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    (folder / "join.txt").write_text(SECRET)
    made = Site(lab_hosts("as-root", "as-sudo"), checkout, folder / "fleet.yaml")
    made.declare(
        {
            "as-root": {"address": made.lab.hosts["as-root"].address},
            "as-sudo": {"address": made.lab.hosts["as-sudo"].address, "ssh": {"user": "deploy", "sudo": True}},
        }
    )
    return made


def test_apply__bare_hosts__are_brought_up_then_nothing_changes_then_survive_a_reboot(site: Site) -> None:
    code, hosts, printed = site.livefleet("apply", "--yes", "--diff")
    assert code == 0, printed
    assert {name: host["changes"] for name, host in hosts.items()} == {"as-root": BOOTED, "as-sudo": BOOTED}
    assert SECRET not in printed

    code, hosts, printed = site.livefleet("apply", "--yes")
    assert code == 0, printed
    assert [host["outcome"] for host in hosts.values()] == ["unchanged", "unchanged"]

    for host in site.lab.hosts.values():
        found = host.run("stat -c '%a %U %n' /etc/livefleet/node.yaml /var/lib/livefleet/secrets/join").stdout
        assert found.splitlines() == [
            "600 livefleet /etc/livefleet/node.yaml",
            "600 livefleet /var/lib/livefleet/secrets/join",
        ]
        assert host.run("systemctl is-active nginx", check=False).stdout.strip() == "inactive"
        assert not host.run("grep -rl test-only-join /tmp /var/log || true").stdout

    site.lab.hosts["as-root"].reboot()
    code, hosts, printed = site.livefleet("apply", "--yes", "as-root")
    assert (code, hosts["as-root"]["outcome"]) == (0, "unchanged"), printed

    code, hosts, printed = site.livefleet("status")
    assert code == 0, printed
    assert [(host["ready"], host["drifted"]) for host in hosts.values()] == [(True, False), (True, False)]


def test_apply__hosts_that_cannot_be_reached__each_says_why_and_the_rest_goes_on(site: Site, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(wrong)], check=True, timeout=60)
    good = site.spec.read_text()
    address = site.lab.hosts["as-root"].address
    site.declare(
        {
            "as-sudo": {"address": site.lab.hosts["as-sudo"].address, "ssh": {"user": "deploy", "sudo": True}},
            "wrong-key": {"address": address, "root": "/srv/1", "ssh": {"key": str(wrong)}},
            "absent-key": {"address": address, "root": "/srv/2", "ssh": {"key": "/nonexistent/key"}},
            "no-rights": {"address": address, "ssh": {"user": "deploy"}},
            "nobody-there": {"address": "10.77.0.250", "ssh": {"connect_timeout_s": 3}},
        }
    )
    code, hosts, _ = site.livefleet("apply", "--yes")
    site.spec.write_text(good)
    assert code == 1
    reasons = {name: host["reason"] for name, host in hosts.items() if host["outcome"] == "failed"}
    assert sorted(reasons) == ["absent-key", "no-rights", "nobody-there", "wrong-key"]
    assert str(wrong) in reasons["wrong-key"]
    assert "authorized_keys on wrong-key" in hosts["wrong-key"]["advice"]
    assert "/nonexistent/key" in reasons["absent-key"]
    assert "user deploy is not root" in reasons["no-rights"]
    assert "Could not connect" in reasons["nobody-there"]
    assert hosts["as-sudo"]["outcome"] != "failed"


def test_apply__sudo_wants_a_password__says_so_and_does_not_wait_for_one(site: Site) -> None:
    host = site.lab.hosts["as-sudo"]
    host.run("mkdir /root/kept && mv /etc/sudoers.d/* /root/kept/")
    code, hosts, _ = site.livefleet("apply", "--yes", "as-sudo")
    host.run("mv /root/kept/* /etc/sudoers.d/ && rmdir /root/kept")
    assert code == 1
    assert "NOPASSWD" in hosts["as-sudo"]["reason"]
