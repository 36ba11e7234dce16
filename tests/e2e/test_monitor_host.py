"""A monitor and one node of a fleet, by one apply over ssh: found, read, alive; and applied again without a change."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.lab import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

FLEET = """\
name: lab
network: offchain
secrets: {{scrape: {{file: {token}}}, push: {{file: {token}}}}}
monitoring: {{scrape_every_s: 1}}
defaults:
  ssh: {{user: root, key: {ssh_key}, known_hosts: {known_hosts}, connect_timeout_s: 5}}
  machine: none
  gpus: none
  firewall: managed
hosts:
  mon:
    address: {mon}
    role: monitor
    monitor: {{listen: "0.0.0.0:7938", token: push}}
  node:
    address: {node}
    role: orchestrator
    orchestrator: {{service_uri: "https://{node}:8935"}}
    monitoring: {{scrape: {{token: scrape}}, node_exporter: true}}
"""

ASK = """
import json, sys, time, urllib.parse, urllib.request
query, wanted, until = sys.argv[1], sys.argv[2], time.monotonic() + 60
while True:
    url = "http://127.0.0.1:9090/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        found = json.load(urllib.request.urlopen(url, timeout=5))["data"]["result"]
    except OSError as error:
        found = []
    if len(found) >= int(wanted) or time.monotonic() > until:
        print(json.dumps([{**row["metric"], "value": row["value"][1]} for row in found]))
        break
    time.sleep(0.3)
"""


@dataclass
class Watched:
    lab: Lab
    fleet: Path

    def apply(self, *arguments: str) -> dict:
        done = self.lab.run(
            [str(BIN / "livefleet"), "apply", "--yes", "--json", *arguments, "--fleet", str(self.fleet)],
            timeout_s=400, check=False, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, cwd=CHECKOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
        return {host["host"]: host for host in json.loads(done.stdout)["hosts"]}

    def ask(self, query: str, at_least: int = 1) -> list[dict]:
        """Prometheus' answer, once it has that many series."""
        done = self.lab.hosts["mon"].run(f"python3 - '{query}' {at_least} <<'END'\n{ASK}\nEND", timeout_s=90)
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def watched(lab_hosts, tmp_path_factory):
    lab = lab_hosts("mon", "node")
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "token").write_text("a test-only token\n")
    addresses = {name: lab.hosts[name].address for name in ("mon", "node")}
    keys = {"token": folder / "token", "ssh_key": lab.key, "known_hosts": lab.known_hosts}
    (folder / "fleet.yaml").write_text(FLEET.format(**addresses, **keys))
    return Watched(lab, folder / "fleet.yaml")


def test_applied__monitor_reads_every_host_with_its_labels(watched):
    watched.apply()
    up = watched.ask("up == 1", at_least=5)
    assert sorted((row["job"], row["node"], row["role"]) for row in up) == [
        ("alertmanager", "mon", "monitor"),
        ("livefleet", "mon", "monitor"),
        ("livefleet", "node", "orchestrator"),
        ("node", "node", "orchestrator"),
        ("prometheus", "mon", "monitor"),
    ]
    assert {row["fleet"] for row in up} == {"lab"}
    (ready,) = watched.ask('livefleet_node_ready{node="mon"} == 1')
    assert ready["job"] == "livefleet"


def test_applied_again__executes_nothing(watched):
    hosts = watched.apply()
    assert {name: host["outcome"] for name, host in hosts.items()} == {"mon": "unchanged", "node": "unchanged"}, hosts


def test_token__only_the_monitor_has_it(watched):
    door = f"http://{watched.lab.hosts['node'].address}:7937"
    asked = (
        "import urllib.request as u, urllib.error as e\n"
        "for path in ('/healthz', '/metrics', '/node', '/status'):\n"
        f"    try: print(u.urlopen('{door}' + path, timeout=5).status)\n"
        "    except e.HTTPError as error: print(error.code)\n"
    )
    done = watched.lab.hosts["mon"].run(f"python3 - <<'END'\n{asked}\nEND")
    assert done.stdout.split() == ["200", "401", "401", "404"]


def test_changed_then_removed__prometheus_reads_it_without_a_restart__then_nothing_is_left(watched):
    mon, main_pid = watched.lab.hosts["mon"], "systemctl show -P MainPID prometheus"
    before = mon.run(main_pid).stdout
    watched.fleet.write_text(watched.fleet.read_text().replace("scrape_every_s: 1", "scrape_every_s: 2"))
    hosts = watched.apply()
    assert (hosts["mon"]["changes"], hosts["node"]["outcome"]) == (["monitoring"], "unchanged"), hosts
    assert mon.run(main_pid).stdout == before
    watched.ask('prometheus_target_interval_length_seconds{interval="2s"}')

    watched.apply("mon", "--remove")
    left = "ls -d /etc/livefleet /opt/livefleet /etc/systemd/system/prometheus*.service.d 2>/dev/null"
    assert mon.run(left, check=False).stdout == ""
    active = mon.run("systemctl is-active prometheus prometheus-alertmanager livefleet", check=False)
    assert set(active.stdout.split()) == {"inactive"}
