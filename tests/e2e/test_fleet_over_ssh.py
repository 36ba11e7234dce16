"""A fleet of two real hosts from one YAML file: provisioned over ssh, paid, applied again, rebooted."""

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from livefleet.chain import load_key
from tests.lab.lab import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

FLEET = """\
name: lab
network: {{name: devchain, rpc: ["{rpc}"], controller: "{controller}", chain_id: {chain_id}, l1_block_s: 1}}
keys: {{orchestrator: {{file: {key}}}, payer: {{file: {payer}}}}}
smoke: {{key: payer, seconds: 1, profiles: [P144p30fps16x9]}}
secrets: {{join: {{file: {join}}}}}
defaults: {{profile: cpu, ssh: {{key: {ssh_key}, known_hosts: {known_hosts}, connect_timeout_s: 5}}}}
hosts:
  orch:
    address: {orch}
    ssh: {{user: root}}
    role: orchestrator
    duties: [reward, redemption]
    orchestrator:
      service_uri: https://{orch}:8935
      key: orchestrator
      worker_secret: join
      ticket: {{expected_value: 1000 gwei, max_face_value: 4000 gwei}}
    prices: {{video: 100000 wei}}
  work:
    address: {work}
    ssh: {{user: deploy, sudo: true}}
    role: worker
    duties: {{transcoding: {{max_sessions: 2}}}}
    worker: {{orchestrator: "{orch}:8935", secret: join}}
"""


@dataclass
class FleetInLab:
    """The lab, the chain in it, and the fleet file; every command runs in the controller's network."""

    lab: Lab
    folder: Path
    fleet: Path
    keys: dict[str, str]

    def run(self, *argv: object, check: bool = True, fleet: Path | None = None):
        environment = os.environ | {"LIVEFLEET_SPEC": str(fleet or self.fleet), "PYTHONPATH": str(CHECKOUT)}
        done = self.lab.run([str(a) for a in argv], timeout_s=420, check=False, env=environment, cwd=CHECKOUT)
        if check:
            assert done.returncode == 0, f"{argv}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done

    def stream(self, seconds: int = 6) -> dict:
        done = self.run(
            BIN / "livefleet", "gateway", "transcode", "--orchestrator", f"https://{self.lab.hosts['orch'].address}:8935",
            "--key-file", self.keys["gateway"], "--sample", seconds, "--profile", "P144p30fps16x9", "--profile",
            "P240p30fps16x9", "--json",
        )  # fmt: skip
        return json.loads(done.stdout)

    def apply(self, *arguments: object, check: bool = True, fleet: Path | None = None) -> tuple[int, dict]:
        code, told = self.applied(*arguments, check=check, fleet=fleet)
        return code, {host["host"]: host for host in told["hosts"]}

    def applied(self, *arguments: object, check: bool = True, fleet: Path | None = None) -> tuple[int, dict]:
        done = self.run(
            BIN / "livefleet", "apply", "--yes", "--json", *arguments, "--fleet", fleet or self.fleet, check=check
        )
        return done.returncode, json.loads(done.stdout)

    def deeds(self, host: str) -> list[tuple[str, str]]:
        done = self.run(BIN / "livefleet", "journal", host, "--fleet", self.fleet, "--json")
        return [(deed["action"], deed["outcome"]) for deed in json.loads(done.stdout)["deeds"]]


@pytest.fixture(scope="module")
def fleet(lab_hosts, tmp_path_factory):
    lab = lab_hosts("orch", "work")
    folder = tmp_path_factory.mktemp("fleet")
    orch = lab.hosts["orch"].address
    prepared = lab.run(
        [
            sys.executable, "-m", "tests.devchain.rehearse", "--dir", str(folder / "chain"), "--host",
            lab.controller_address, "--service-uri", f"https://{orch}:8935",
        ],
        timeout_s=180, check=True, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, cwd=CHECKOUT,
    )  # fmt: skip
    chain = json.loads(prepared.stdout)
    (folder / "join").write_text("a test-only secret\n")
    text = FLEET.format(
        rpc=chain["rpc"], controller=chain["controller"], chain_id=chain["chain_id"],
        key=chain["keys"]["orchestrator"], payer=chain["keys"]["gateway"],
        join=folder / "join", ssh_key=lab.key, known_hosts=lab.known_hosts,
        orch=orch, work=lab.hosts["work"].address,
    )  # fmt: skip
    (folder / "fleet.yaml").write_text(text)
    made = FleetInLab(lab, folder, folder / "fleet.yaml", chain["keys"])
    yield made
    made.run(BIN / "livefleet", "devchain", "down", "--dir", folder / "chain")


def test_provisioned_from_yaml__paid_segments_go_through_the_worker(fleet):
    first = fleet.run(BIN / "pyinfra", "-y", "inventory/fleet.py", "deploys/site.py")
    assert "skipped: no NVIDIA device" in first.stdout + first.stderr
    orch, work = fleet.lab.hosts["orch"], fleet.lab.hosts["work"]
    for host in (orch, work):
        assert host.run("stat -c '%a' /etc/livefleet/node.yaml").stdout.strip() == "600"
        assert host.run("systemctl is-active livefleet").stdout.strip() == "active"
        assert host.run("systemctl is-active nginx", check=False).stdout.strip() != "active"
        assert "/opt/livefleet/releases/" in host.run("readlink -f /opt/livefleet/current").stdout
    assert "join" not in orch.run("cat /proc/$(systemctl show -P MainPID livefleet)/cmdline").stdout
    report = fleet.stream()
    assert report["ok"], report
    assert report["spending"]["tickets"] > 0
    status = json.loads(_admin(orch, "/status"))
    assert status["payments"]["tickets"]["received"]["count"] == report["spending"]["tickets"]
    assert [w["capacity"] for w in status["server"]["workers"]] == [2]
    assert json.loads(_admin(work, "/status"))["worker"]["done"] == len(report["segments"])


def test_applied_again__nothing_changes_and_it_says_so(fleet):
    again = fleet.run(BIN / "pyinfra", "-y", "inventory.fleet", "deploys.site")
    said = again.stdout + again.stderr
    assert re.search(r"Grand total +22 +- +- +22\b", said), said[-3000:]  # eleven steps on two hosts, none changed
    code, hosts = fleet.apply()
    assert code == 0
    assert {name: host["outcome"] for name, host in hosts.items()} == {"orch": "unchanged", "work": "unchanged"}


def test_dry_run__says_what_would_change_and_changes_nothing(fleet):
    changed = fleet.folder / "changed.yaml"
    changed.write_text(fleet.fleet.read_text().replace("video: 100000 wei", "video: 90000 wei"))
    code, hosts = fleet.apply("--dry", fleet=changed)
    assert code == 0
    assert hosts["orch"]["outcome"] == "would change"
    assert hosts["work"]["outcome"] == "unchanged"
    assert "100000" in fleet.lab.hosts["orch"].run("cat /etc/livefleet/node.yaml").stdout


def test_price_changed__is_planned_and_taken_over_without_a_restart(fleet):
    changed, kept = fleet.folder / "changed.yaml", fleet.folder / "plan.json"
    changed.write_text(fleet.fleet.read_text().replace("video: 100000 wei", "video: 90000 wei"))
    orch, main_pid = fleet.lab.hosts["orch"], "systemctl show -P MainPID livefleet"
    before = orch.run(main_pid).stdout
    planned = fleet.run(BIN / "livefleet", "plan", "--json", "--out", kept, "--fleet", changed, check=False)
    assert planned.returncode == 2, planned.stderr
    plan = {host["host"]: host for host in json.loads(planned.stdout)["hosts"]}
    assert (plan["orch"]["agent"], plan["work"]["outcome"]) == ("reload", "unchanged")
    assert [effect["path"] for effect in plan["orch"]["effects"]] == ["prices.video"]

    _, told = fleet.applied("--plan", kept, fleet=changed)
    assert [host["agent"] for host in told["hosts"]] == ["reloaded", ""]
    (tried,) = told["smoke"]["hosts"]  # which was changed, and is paid for a job then
    assert (tried["host"], tried["passed"], tried["jobs"][0]["tickets"]) == ("orch", True, 1)
    assert orch.run(main_pid).stdout == before
    assert json.loads(_admin(orch, "/status"))["payments"]["price_wei_per_pixel"] == 90_000

    dear = fleet.folder / "dear.yaml"
    dear.write_text(fleet.fleet.read_text().replace("key: payer,", "key: payer, max_price: 1 wei,"))
    code, told = fleet.applied(fleet=dear, check=False)
    assert (code, told["hosts"][0]["agent"]) == (1, "reloaded")
    (job,) = told["smoke"]["hosts"][0]["jobs"]
    assert (job["failed_at"], job["tickets"]) == ("price", 0)
    assert fleet.deeds("orch")[-3:] == [("smoke", "passed"), ("apply", "serving"), ("smoke", "failed")]
    assert fleet.stream()["ok"]


def test_withheld__the_paid_job_after_the_apply_is_told_to_the_host(fleet):
    payer, held = fleet.keys["gateway"], fleet.folder / "held.yaml"
    text = fleet.fleet.read_text().replace("key: payer,", "key: payer, withhold: true,")
    held.write_text(
        text.replace(f"{{file: {payer}}}", f"{{file: {payer}, address: '{load_key(Path(payer)).address}'}}")
    )
    orch = fleet.lab.hosts["orch"]
    _, told = fleet.applied(fleet=held)
    assert [host["agent"] for host in told["hosts"]] == ["reloaded", ""]  # what runs is not disturbed
    assert [(host["host"], host["passed"]) for host in told["smoke"]["hosts"]] == [("orch", True)]
    smoke = json.loads(_admin(orch, "/status"))["smoke"]
    assert smoke["passed"]
    assert smoke["release"] == Path(orch.run("readlink -f /opt/livefleet/current").stdout.strip()).name
    kept = orch.run("stat -c '%a %U' /var/lib/livefleet/smoke.json").stdout.split()
    assert kept == ["600", orch.run("stat -c %U /var/lib/livefleet").stdout.strip()]
    fleet.applied("--no-smoke")


def test_status__reads_the_whole_fleet(fleet):
    done = fleet.run(BIN / "livefleet", "status", "--fleet", fleet.fleet, "--json")
    hosts = {host["host"]: host for host in json.loads(done.stdout)["hosts"]}
    assert set(hosts) == {"orch", "work"}
    assert all(host["ready"] for host in hosts.values())


def test_unreachable_host_and_wrong_key__others_go_on(fleet):
    fleet.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", fleet.folder / "stranger")
    joined = f"worker: {{orchestrator: '{fleet.lab.hosts['orch'].address}:8935', secret: join}}"
    text = (
        fleet.fleet.read_text() + f"  gone: {{address: 10.77.0.250, role: worker, duties: [transcoding], {joined}}}\n"
    )
    broken = fleet.folder / "gone.yaml"
    broken.write_text(text)
    code, hosts = fleet.apply(fleet=broken, check=False)
    assert code == 1
    assert {name: host["outcome"] for name, host in hosts.items()} == {
        "orch": "unchanged", "work": "unchanged", "gone": "failed",
    }  # fmt: skip
    assert hosts["gone"]["advice"]
    stranger = fleet.folder / "stranger.yaml"
    stranger.write_text(
        fleet.fleet.read_text().replace("ssh: {user: root}", f"ssh: {{user: root, key: {fleet.folder / 'stranger'}}}")
    )
    code, hosts = fleet.apply(fleet=stranger, check=False)
    assert code == 1
    assert hosts["orch"]["outcome"] == "failed"
    assert str(fleet.folder / "stranger") in hosts["orch"]["reason"] + hosts["orch"]["advice"]
    assert hosts["work"]["outcome"] == "unchanged"


def test_rebooted__serves_again(fleet):
    orch = fleet.lab.hosts["orch"]
    before = orch.boot_id()
    orch.reboot()
    assert orch.boot_id() != before
    orch.run(
        "for i in $(seq 120); do python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:7936/readyz')\""
        " 2>/dev/null && exit 0; sleep 0.5; done; exit 1",
        timeout_s=90,
    )
    fleet.lab.hosts["work"].run(
        "for i in $(seq 120); do python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:7936/readyz')\""
        " 2>/dev/null && exit 0; sleep 0.5; done; exit 1",
        timeout_s=90,
    )
    report = fleet.stream()
    assert report["ok"], report


def _admin(host, path: str) -> str:
    return host.run(
        f"python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:7936{path}').read().decode())\""
    ).stdout
