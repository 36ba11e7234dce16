"""A host's driver through its life, on a real host with systemd, apt, ssh and reboots. The packages are stand-ins."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from deploys import steps
from deploys.facts import parse_facts, script
from deploys.outcome import Reboot, Shell
from livefleet.spec import NodeSpec, load_fleet
from tests.component.deploys.stand_in_driver import BLIND, MACHINE, Shop
from tests.lab.host import Host
from tests.lab.lab import Lab

pytestmark = [pytest.mark.component, pytest.mark.timeout(900)]

OLD, NEW, NEWER, BAD = "570.211.01", "580.65.06", "580.95.05", "580.65.05"
WORK = "/var/lib/livefleet-driver"


@dataclass
class Train:
    lab: Lab
    shop: Shop
    checkout: Path
    spec: Path

    @property
    def host(self) -> Host:
        return self.lab.hosts["gpu"]

    def declare(self, **driver: Any) -> None:
        document = {
            "version": 1,
            "name": "test",
            "secrets": {"join": {"file": "join.txt"}},
            "hosts": {
                "gpu": {
                    "address": self.host.address,
                    "role": "worker",
                    "worker": {"orchestrator": "127.0.0.1:1", "secret": "join"},
                    "ssh": {"user": "root", "key": str(self.lab.key), "known_hosts": str(self.lab.known_hosts)},
                    "driver": {
                        "repository": {
                            "url": f"http://{self.lab.controller_address}/nvidia/",
                            "key_fingerprint": self.shop.fingerprint,
                        },
                        "drain_deadline_s": 1,
                        **driver,
                    },
                }
            },
        }
        with self.spec.open("w") as file:
            YAML().dump(document, file)

    def apply(self, **driver: Any) -> tuple[str, str]:
        """The whole deploy with the driver so declared; the host's outcome, and all that was printed."""
        self.declare(**driver)
        command = [
            str(Path(sys.executable).with_name("livefleet")),
            "apply",
            "--yes",
            "--json",
            "--fleet",
            str(self.spec),
        ]
        done = self.lab.run(command, timeout_s=400, check=False, cwd=self.checkout)
        return json.loads(done.stdout)["hosts"][0]["outcome"], done.stdout + done.stderr

    def step(self, **driver: Any) -> tuple[bool, str]:
        """The driver's step alone: facts, decision, commands. Whether it went well, and notes, refusal and errors."""
        self.declare(**driver)
        node = load_fleet(self.spec).node("gpu")
        facts = parse_facts(self.host.run(script("/", [], [])).stdout.splitlines())
        assert facts is not None
        outcome = steps.driver(node, steps.ServiceKind.SYSTEMD, "/opt/livefleet", facts, now=time.time())
        told = [*outcome.notes, outcome.refusal or ""]
        for command in outcome.commands:
            if isinstance(command, Reboot):
                if self.told(f"rm {command.when} && echo due"):
                    self.host.reboot()
                continue
            assert isinstance(command, Shell)
            text = "".join(f"{line}\n" for line in command.stdin)
            argv = self.host.login().command(command.text)
            done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=300, check=False)
            told.append(done.stderr)
            if done.returncode:
                return False, "\n".join(told)
        return outcome.refusal is None, "\n".join(told)

    def told(self, command: str) -> str:
        return self.host.run(command, check=False).stdout.strip()

    def loaded(self) -> str:
        return self.told("cat /sys/module/nvidia/version")

    def installed(self) -> set[str]:
        """Versions of the driver's packages that are whole."""
        lines = self.told(
            "dpkg-query -W -f '${db:Status-Abbrev} ${Version}\\n' 'nvidia-*' 'libnvidia-*' libcuda1 libnvcuvid1"
        ).splitlines()
        assert all(line.split()[0] in ("ii", "hi") for line in lines if line.split()[0] != "un"), lines
        return {line.split()[1] for line in lines}

    def is_held(self) -> bool:
        held = set(self.told("apt-mark showhold").splitlines())
        return {"nvidia-driver-cuda", "nvidia-kernel-open-dkms", "libcuda1", "libnvidia-ml1"} <= held

    def is_at_rest(self) -> bool:
        """Nothing of a change is left over, and the agent serves."""
        left = self.told(f"ls -d {WORK}/state {WORK}/before {WORK}/reboot /var/lib/livefleet/drain.json 2>/dev/null")
        return left == "" and self.told("systemctl is-active livefleet.service") == "active"


@pytest.fixture(scope="module")
def train(lab_hosts: Callable[..., Lab], checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Train]:
    folder = tmp_path_factory.mktemp("train")
    (folder / "join.txt").write_text("test-only")
    lab = lab_hosts("gpu")
    shop = Shop(folder / "shop", lab.public / "nvidia")
    try:
        shop.build_tools()
        shop.driver(OLD)
        shop.driver(NEW)
        shop.driver(BAD, postinst="echo 'Error! Bad return status for module build' >&2; exit 10\n")
        shop.publish()
        made = Train(lab, shop, checkout, folder / "fleet.yaml")
        for path, (text, mode) in MACHINE.items():
            made.host.write(path, text, mode)
        made.host.run("systemctl daemon-reload && systemctl enable --now --quiet stand-in-card.service")
        yield made
    finally:
        shop.close()


def test_driver__first_install_fails__leaves_none_of_it(train: Train) -> None:
    done, told = train.step(version=BAD)
    assert not done
    assert "could not be installed: its packages could not be installed" in told
    assert "The host is without one, as before" in told
    assert (train.loaded(), train.installed(), train.told("ls /etc/apt/sources.list.d /etc/apt/preferences.d")) == (
        "",
        set(),
        "/etc/apt/preferences.d:\n\n/etc/apt/sources.list.d:",
    )


def test_driver__bare_host__gets_the_declared_branch_held_and_kept_awake(train: Train) -> None:
    done, told = train.step(branch=570)
    assert done, told
    assert (train.loaded(), train.installed(), train.is_held()) == (OLD, {f"{OLD}-1"}, True)
    assert "--persistence-mode" in train.told("systemctl show -p ExecStart nvidia-persistenced.service")
    assert train.step(branch=570) == (True, f"skipped: driver {OLD} is loaded, as declared\n")


def test_driver__something_holds_the_module__is_refused_without_a_window_and_rebooted_in_one(train: Train) -> None:
    train.host.run("touch /run/stand-in/busy")
    done, told = train.step(branch=580)
    assert not done
    assert "in use by something else" in told
    assert (train.loaded(), train.installed(), train.is_held()) == (OLD, {f"{OLD}-1"}, True)

    boot = train.told("cat /proc/sys/kernel/random/boot_id")
    outcome, printed = train.apply(branch=580, reboot_window={"opens": "00:00", "closes": "00:00"})
    assert outcome == "changed", printed
    assert train.told("cat /proc/sys/kernel/random/boot_id") != boot
    assert (train.loaded(), train.installed(), train.is_held()) == (NEW, {f"{NEW}-1"}, True)
    assert train.is_at_rest()  # the rest of the deploy went on after the reboot


def test_driver__module_that_does_not_build__goes_back_even_where_the_old_packages_are_gone(train: Train) -> None:
    train.shop.remove(NEW)
    train.shop.publish()
    done, told = train.step(version=BAD)
    assert not done
    assert f"The host is back on {NEW}, which works" in told
    assert (train.loaded(), train.installed(), train.is_held()) == (NEW, {f"{NEW}-1"}, True)
    assert train.is_at_rest()


def test_driver__cut_off_in_the_middle_of_dpkgs_work__is_ended_by_the_next_run(train: Train) -> None:
    train.shop.driver(NEWER)
    train.shop.publish()
    train.host.run(
        "mkdir -p /tmp/cut && cd /tmp/cut && apt-get -q update"
        f" && apt-get -q download nvidia-kernel-open-dkms={NEWER}-1 && dpkg --unpack --force-all ./*.deb"
    )
    assert "iU" in train.told("dpkg-query -W -f '${db:Status-Abbrev}' nvidia-kernel-open-dkms")
    done, told = train.step(version=NEWER)
    assert done, told
    assert (train.loaded(), train.installed(), train.is_held()) == (NEWER, {f"{NEWER}-1"}, True)
    assert train.is_at_rest()
    assert "the NVIDIA driver is being changed" in train.told("cat /var/lib/livefleet/drains")


def test_driver__new_driver_does_not_answer_after_the_reboot__goes_back(train: Train) -> None:
    train.host.run(f"touch /run/stand-in/busy; echo {OLD} > {BLIND}")
    boot = train.told("cat /proc/sys/kernel/random/boot_id")
    done, told = train.step(branch=570, reboot_window={"opens": "00:00", "closes": "00:00"})
    assert not done
    assert f"NVML sees 0 of 1 device(s). The host is back on {NEWER}, which works" in told
    assert train.told("cat /proc/sys/kernel/random/boot_id") != boot
    assert (train.loaded(), train.installed(), train.is_held()) == (NEWER, {f"{NEWER}-1"}, True)
    assert train.is_at_rest()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"branch": 570, "key": "0" * 40}, "its package source could not be set up"),
        ({"version": "580.11.11"}, "in version 580.11.11; there is"),
    ],
)
def test_driver__package_source_that_will_not_do__is_said_and_nothing_changes(
    train: Train, settings: dict[str, Any], words: str
) -> None:
    wrong = settings.pop("key", None)
    right = train.shop.fingerprint
    train.shop.fingerprint = wrong or right
    done, told = train.step(**settings)
    train.shop.fingerprint = right
    assert not done
    assert words in told
    assert (train.loaded(), train.installed(), train.is_held(), train.is_at_rest()) == (
        NEWER,
        {f"{NEWER}-1"},
        True,
        True,
    )


def test_driver__session_patch__is_checked_put_in_place_and_taken_back(train: Train) -> None:
    library = f"/usr/lib/x86_64-linux-gnu/libnvidia-encode.so.{NEWER}"
    train.host.run("mkdir -p /srv && echo patched > /srv/library")
    original, patched = train.told(f"sha256sum < {library}")[:64], train.told("sha256sum < /srv/library")[:64]

    done, told = train.step(version=NEWER, session_patch={"url": "file:///srv/library", "sha256": "a" * 64})
    assert not done
    assert f"has SHA-256 {patched}, not the declared" in told
    assert train.told(f"sha256sum < {library}")[:64] == original

    tool = "echo tool-made > $1"
    train.host.write("/srv/tool", tool)
    digest = train.told("sha256sum < /srv/tool")[:64]
    other = {
        "kind": "tool",
        "url": "file:///srv/tool",
        "sha256": digest,
        "arguments": [library],
        "patched_sha256": patched,
    }
    done, told = train.step(version=NEWER, session_patch=other)
    assert not done
    assert "it was undone" in told
    assert train.told(f"sha256sum < {library}")[:64] == original

    wanted = {"url": "file:///srv/library", "sha256": patched}
    done, told = train.step(version=NEWER, session_patch=wanted)
    assert done, told
    assert train.told(f"sha256sum < {library}")[:64] == patched
    assert "skipped" in train.step(version=NEWER, session_patch=wanted)[1]

    done, told = train.step(version=NEWER)
    assert done, told
    assert "put NVIDIA's own encoder library back" in told
    assert train.told(f"sha256sum < {library}")[:64] == original


def test_preflight__go_livepeer_on_the_port__is_named_with_its_unit(train: Train) -> None:
    train.host.run(
        "cp $(readlink -f /usr/bin/python3) /usr/local/bin/livepeer"
        " && systemd-run --quiet --unit=livepeer /usr/local/bin/livepeer -m http.server 8935"
        " && for _ in $(seq 50); do ss -Hltn 'sport = :8935' | grep -q . && break; sleep 0.1; done"
    )
    facts = parse_facts(train.host.run(script("/", [], [])).stdout.splitlines())
    train.host.run("systemctl stop livepeer.service")
    node = NodeSpec.model_validate(
        {"fleet": "t", "name": "gpu", "role": "orchestrator", "orchestrator": {"service_uri": "https://x.example:8935"}}
    )
    assert facts is not None
    assert [listener.own for listener in facts.listeners if listener.port == 7936] == [
        True
    ]  # the agent's, which serves
    outcome = steps.preflight(node, facts, now=facts.clock, sudo=False, room=None)
    assert "is held by go-livepeer: livepeer (livepeer.service); `systemctl disable --now livepeer.service`" in (
        outcome.refusal or ""
    )


def test_apply__host_key_changed__is_refused_with_what_to_do(train: Train, tmp_path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True, timeout=60
    )
    kept = train.lab.known_hosts.read_text()
    key = (tmp_path / "other.pub").read_text()
    try:
        train.lab.known_hosts.write_text(f"gpu,{train.host.address} {key}")
        outcome, printed = train.apply(version=NEWER)
    finally:
        train.lab.known_hosts.write_text(kept)
    assert outcome == "failed"
    assert "ssh-keygen -R" in printed
