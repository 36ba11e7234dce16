"""`livefleet doctor` on a host that is well, and on one with everything wrong that it can find."""

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from livefleet.spec import Finding, load_fleet
from tests.builders import broken_host as broken
from tests.builders import sick_rpc, wards
from tests.builders.broken_host import NOISE, WARDS, Sign
from tests.builders.deploys import a_checkout
from tests.lab.lab import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SICK_PORT = 8600
FLEET = """\
name: lab
network: {{name: devchain, rpc: ["{rpc}"], controller: "{contract}", chain_id: {chain_id}, l1_block_s: 1}}
keys: {{orchestrator: {{file: {key}}}}}
secrets: {{join: {{file: {folder}/join}}}}
defaults:
  ssh: {{user: deploy, sudo: true, key: {ssh_key}, known_hosts: {known_hosts}, connect_timeout_s: 3}}
  profile: cpu
hosts:
  node:
    address: {host}
    role: orchestrator
    duties: []
    orchestrator: {{service_uri: "https://{host}:8935", key: orchestrator, worker_secret: join}}
    prices: {{video: 100000 wei}}
{more}
"""
AWAY = """\
  away:
    address: 203.0.113.9
    role: worker
    duties: [transcoding]
    worker: {orchestrator: "node:8935", secret: join}
"""


@dataclass
class Place:
    """The lab, a chain in it, a checkout of its own and the fleet file."""

    lab: Lab
    folder: Path
    checkout: Path
    chain: dict[str, Any]

    @property
    def host(self):
        return self.lab.hosts["node"]

    @property
    def fleet(self) -> Path:
        return self.folder / "fleet.yaml"

    def say(self, more: str = "") -> None:
        text = FLEET.format(
            folder=self.folder, host=self.host.address, more=more, ssh_key=self.lab.key, rpc=self.chain["rpc"],
            known_hosts=self.lab.known_hosts, contract=self.chain["controller"], chain_id=self.chain["chain_id"],
            key=self.chain["keys"]["orchestrator"],
        )  # fmt: skip
        self.fleet.write_text(text)

    def livefleet(self, *words: object):
        return self.lab.run(
            [str(BIN / "livefleet"), *map(str, words), "--fleet", str(self.fleet)], timeout_s=300, check=False,
            env={"PYTHONPATH": str(self.checkout), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(Path.home())},
            cwd=self.checkout,
        )  # fmt: skip

    def doctor(self, *words: str) -> tuple[int, dict[str, list[Finding]]]:
        """Exit code, and what is not well by host."""
        done = self.livefleet("doctor", "--json", *words)
        hosts = json.loads(done.stdout)["hosts"]
        found = {host["host"]: [Finding.model_validate(f) for f in host["findings"]] for host in hosts}
        return done.returncode, {host: [f for f in each if f.trouble] for host, each in found.items()}

    def look_for(self, signs: tuple[Sign, ...], found: list[Finding], door: int = 0) -> None:
        """Fail where one of the signs is not among what was found, with what there is in its place."""
        names = {"host": self.host.address, "controller": self.lab.controller_address, "door": door}
        missing = [
            f"{sign}\n  instead of {[f for f in found if f.trouble == sign.trouble]}"
            for sign in signs
            if not any(
                f.trouble == sign.trouble
                and f.what.startswith(sign.what.format_map(names))
                and sign.says.format_map(names) in f.message
                and sign.do in f.fix
                for f in found
            )
        ]
        assert not missing, "\n".join(missing)


@pytest.fixture(scope="module")
def place(lab_hosts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("doctor")
    lab = lab_hosts("node")
    host, ours = lab.hosts["node"].address, lab.controller_address
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    prepared = lab.run(
        [
            sys.executable, "-m", "tests.devchain.rehearse", "--dir", str(folder / "chain"), "--host", ours,
            "--service-uri", f"https://{host}:8935",
        ],
        timeout_s=180, env=environment, cwd=CHECKOUT,
    )  # fmt: skip
    chain = json.loads(prepared.stdout)
    lab.spawn(
        [
            sys.executable, "-m", "tests.builders.sick_rpc", "--behind", chain["rpc"], "--host", ours, "--port",
            str(SICK_PORT),
        ],
        log=folder / "sick_rpc.log", env=environment, cwd=CHECKOUT,
    )  # fmt: skip
    (folder / "join").write_text("test-only-secret")
    made = Place(lab, folder, a_checkout(folder / "checkout"), chain)
    made.say()
    code, found = made.doctor("node")
    assert code == 1
    made.look_for((broken.BARE,), found["node"])
    done = made.livefleet("apply", "--yes")
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    yield made
    lab.run([str(BIN / "livefleet"), "devchain", "down", "--dir", str(folder / "chain")], env=environment, check=False)


def test_doctor__host_as_apply_leaves_it__has_nothing_wrong(place):
    code, found = place.doctor()
    assert (code, [f for f in found["node"] if f.grade == "fail"]) == (0, [])


@pytest.fixture(scope="module")
def examined(place):
    """One look at the host with everything wrong, its wards, and a host that is away."""
    place.say(AWAY + "".join(wards.settings_of(ward, place.host.address) for ward in WARDS))
    wards.lay(place.host, load_fleet(place.fleet), place.folder, Path(place.chain["keys"]["orchestrator"]))
    ours = place.lab.controller_address
    sick = [f"http://{ours}:{SICK_PORT + number}" for number, _ in enumerate(sick_rpc.KINDS)]
    wards.break_node(place.host, place.chain["rpc"], [*sick, f"http://{ours}:9"])
    began = time.monotonic()
    code, found = place.doctor()
    print(f"doctor took {time.monotonic() - began:.1f} s for {len(found)} nodes")
    assert code == 1
    return found


def test_doctor__host_that_is_away__hides_nothing_of_the_others(place, examined):
    place.look_for((broken.AWAY,), examined["away"])


def test_doctor__node_with_everything_wrong__finds_each_with_its_fix(place, examined):
    place.look_for(broken.NODE, examined["node"])
    assert {f.trouble for f in examined["node"]} <= {sign.trouble for sign in broken.NODE} | NOISE


@pytest.mark.parametrize("ward", WARDS, ids=[ward.name for ward in WARDS])
def test_doctor__ward__shows_its_troubles_alone__each_with_its_fix(place, examined, ward):
    found = examined[ward.name]
    place.look_for(ward.shows, found, ward.door)
    assert {f.trouble for f in found} - {sign.trouble for sign in ward.shows} <= NOISE


def test_doctor__host_put_right__has_nothing_wrong_again(place, examined):
    wards.mend_node(place.host)
    place.say()
    assert place.livefleet("apply", "--yes").returncode == 0
    code, found = place.doctor()
    assert (code, [f for f in found["node"] if f.grade == "fail"]) == (0, [])
