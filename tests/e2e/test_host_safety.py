"""A host as `apply` leaves it, seen by a neighbour, by another user and by its own files: who gets in, who reads."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.builders.deploys import a_checkout
from tests.lab.lab import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BIN = Path(sys.executable).parent
SECRET, ROTATED = "test-only-4f9d1c-old", "test-only-4f9d1c-new"
SSH, DOOR, ADMIN, OTHER = 22, 8935, 7936, 9999

FLEET = """\
name: lab
network: offchain
secrets: {{join: {{file: {folder}/join}}, next: {{file: {folder}/next}}}}
hosts:
  node:
    address: {node}
    ssh: {{user: deploy, sudo: true, key: {ssh_key}, known_hosts: {known_hosts}, connect_timeout_s: 5}}
    profile: cpu
    role: orchestrator
    duties: []
    monitoring: {{admin_listen: "0.0.0.0:7936"}}
    firewall: {firewall}
    service: {{secrets: {place}}}
    orchestrator:
      service_uri: https://{node}:8935
      {secret}
"""
FIRST = "worker_secret: join"
SECOND = 'worker_secret: next\n      worker_secret_before: {secret: join, until: "2099-01-01T00:00Z"}'


@dataclass
class Place:
    lab: Lab
    folder: Path
    checkout: Path  # a copy: what somebody else changes meanwhile is no change of the release

    @property
    def host(self):
        return self.lab.hosts["node"]

    def say(self, *, firewall="managed", place="state", secret=FIRST) -> None:
        text = FLEET.format(
            folder=self.folder, node=self.host.address, ssh_key=self.lab.key, known_hosts=self.lab.known_hosts,
            firewall=firewall, place=place, secret=secret,
        )  # fmt: skip
        (self.folder / "fleet.yaml").write_text(text)

    def apply(self, *arguments: str, check: bool = True) -> tuple[str, str]:
        """The host's outcome, and everything that was printed."""
        fleet = str(self.folder / "fleet.yaml")
        done = self.lab.run(
            [str(BIN / "livefleet"), "apply", "--yes", "--json", *arguments, "--fleet", fleet],
            timeout_s=300, check=False, env=os.environ | {"PYTHONPATH": str(self.checkout)}, cwd=self.checkout,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        (host,) = json.loads(done.stdout)["hosts"]
        return host["outcome"], done.stdout + done.stderr

    def reaches(self, port: int) -> bool:
        """Whether a neighbour's connection is taken."""
        program = f"import socket; socket.create_connection(({self.host.address!r}, {port}), timeout=1.5)"
        return self.lab.run([sys.executable, "-c", program], check=False).returncode == 0

    def pid(self) -> str:
        return self.host.run("systemctl show -P MainPID livefleet").stdout.strip()

    def holders(self) -> list[str]:
        """Arguments, environments, journal lines and files in which a secret stands; files by mode, owner, path."""
        return self.host.run(
            """
            for file in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do
              if tr '\\0' '\\n' <"$file" 2>/dev/null | grep -qFf /root/pattern; then echo "$file"; fi
            done
            journalctl --no-pager --quiet | grep -Ff /root/pattern | sed 's/^/journal: /'
            grep -rslFf /root/pattern /etc /opt /run /tmp /var 2>/dev/null | sort | xargs -r stat -c '%a %U %n'
            true
            """
        ).stdout.splitlines()

    def status(self) -> dict:
        ask = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{ADMIN}/status').read().decode())"
        return json.loads(self.host.run(f'python3 -c "{ask}"').stdout)


@pytest.fixture(scope="module")
def place(lab_hosts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("safety")
    made = Place(lab_hosts("node"), folder, a_checkout(folder / "checkout"))
    (made.folder / "join").write_text(SECRET)
    (made.folder / "next").write_text(ROTATED)
    made.host.run(f"printf '%s\\n%s\\n' {SECRET} {ROTATED} > /root/pattern")
    made.host.run(f"systemd-run --quiet --unit other python3 -m http.server {OTHER}")
    made.say(place="credentials")
    _, said = made.apply()
    assert SECRET not in said
    return made


def test_firewall__a_neighbour__reaches_ssh_and_the_front_door_and_nothing_else(place):
    assert {port: place.reaches(port) for port in (SSH, DOOR, ADMIN, OTHER)} == {
        SSH: True, DOOR: True, ADMIN: False, OTHER: False,
    }  # fmt: skip


def test_service__runs_as_nobody_special__with_no_capability_and_no_dump(place):
    pid = place.pid()
    lines = place.host.run(f"cat /proc/{pid}/status").stdout.splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    uid = place.host.run("id -u livefleet").stdout.strip()
    assert uid != "0"
    assert status["Uid"].split() == [uid] * 4
    assert {status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"].strip() == "1"
    assert place.host.run("id -nG livefleet").stdout.split() == ["livefleet"]
    limits = place.host.run(f"cat /proc/{pid}/limits").stdout
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    assert place.host.run(f"cat /proc/{pid}/environ", user="deploy", check=False).returncode != 0


def test_credentials__sealed__are_nowhere_in_the_clear_on_the_disk(place):
    opened = "/run/credentials/livefleet.service/secrets.join"
    assert opened in place.host.run("cat /etc/livefleet/node.yaml").stdout
    assert [line for line in place.holders() if not line.endswith(f" {opened}")] == []
    assert place.status()["ready"]


def test_applied_again__nothing_changes(place):
    outcome, said = place.apply()
    assert outcome == "unchanged", said


def test_firewall__flushed_by_somebody__is_put_back_by_the_next_apply(place):
    place.host.run("nft flush ruleset")
    assert place.reaches(OTHER)
    assert place.apply()[0] == "changed"
    assert not place.reaches(OTHER)
    assert place.reaches(SSH)


def test_secret__as_a_file__is_read_by_the_agent_alone_and_a_monitor_reaches_the_admin_port(place):
    place.say(firewall=f"{{mode: managed, monitors: [{place.lab.controller_address}]}}")
    assert place.apply()[0] == "changed"
    assert place.reaches(ADMIN)
    assert not place.reaches(OTHER)
    assert place.holders() == ["600 livefleet /var/lib/livefleet/secrets/join"]
    assert place.host.run("cat /var/lib/livefleet/secrets/join", user="deploy", check=False).returncode != 0


def test_worker_secret__rotated_by_apply__restarts_nothing_and_is_told(place):
    before = place.pid()
    place.say(secret=SECOND)
    outcome, said = place.apply()
    assert outcome == "changed"
    assert ROTATED not in said
    assert place.pid() == before, said
    told = next(c for c in place.status()["conditions"] if c["name"] == "WorkersOnCurrentSecret")
    assert (told["reason"], "2099-01-01" in told["message"]) == ("NoWorkers", True)


def test_tmpfs__after_a_reboot__the_firewall_stands_and_the_agent_waits_for_the_next_apply(place):
    place.say(secret=SECOND, place="tmpfs")
    assert place.apply()[0] == "changed"
    assert {line.split(" ")[2] for line in place.holders()} == {f"/run/livefleet/secrets/{n}" for n in ("join", "next")}
    place.host.reboot()
    place.host.run(f"systemd-run --quiet --unit other python3 -m http.server {OTHER}")
    assert (place.reaches(SSH), place.reaches(DOOR), place.reaches(OTHER)) == (True, False, False)
    assert place.holders() == []
    assert place.host.run("systemctl is-failed livefleet", check=False).stdout.strip() == "inactive"
    assert place.apply()[0] == "changed"
    assert place.reaches(DOOR)


def test_remove__leaves_the_nodes_state_and_takes_firewall_units_and_settings_away(place):
    place.apply("--remove")
    assert place.host.run("ls /var/lib/livefleet/tls").stdout.split() == ["cert.pem", "key.pem"]
    left = place.host.run(
        "ls -d /etc/livefleet /opt/livefleet /etc/systemd/system/livefleet* /etc/sysctl.d/*livefleet*"
        " /etc/systemd/journald.conf.d/*livefleet* 2>/dev/null; nft list tables | grep livefleet; true"
    ).stdout
    assert left == ""
    assert place.reaches(OTHER)
