"""An image made for real from the lab's repository, looked into, made again, and booted until its host has enrolled."""

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploys.image.neutral import problems_in
from tests.builders.deploys import a_checkout
from tests.component.deploys.stand_in_driver import Package, Shop
from tests.lab.host import Host
from tests.lab.image_packages import KERNEL, image_packages
from tests.lab.lab import Lab

pytestmark = [pytest.mark.component, pytest.mark.timeout(900)]

DRIVER = "580.95.05"
EPOCH = 1_790_000_000
SECRET = "join-secret-7f3a"
FLEET = """\
name: home
secrets:
  join: {{env: JOIN_SECRET}}
defaults:
  driver:
    repository: {{url: "http://10.77.0.1/nvidia/", key_fingerprint: {fingerprint}}}
  firewall: managed
groups:
  workers:
    role: worker
    duties: [transcoding]
    worker: {{orchestrator: "10.77.0.1:1", secret: join}}
hosts:
  declared: {{address: 10.0.0.1, groups: [workers]}}
"""
IS_ONLINE = "[Service]\nExecStart=\nExecStart=/bin/true\n"  # the lab's cable is there; no udev tells a container of it
MODULE = f"/lib/modules/{KERNEL}/updates/dkms"


@dataclass
class Yard:
    """Where images are made: everything is reached through the lab's controller, and nothing else is."""

    lab: Lab
    folder: Path
    checkout: Path
    fleet: Path
    pin: str

    def livefleet(self, *words: str, check: bool = True, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("livefleet")), *words]
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return self.lab.run(
            command, timeout_s=timeout_s, check=check, cwd=self.checkout, env={**env, "JOIN_SECRET": SECRET}
        )

    def build(self, out: Path, image_format: str = "rootfs-tar") -> dict[str, Any]:
        words = ("image", "build", "--profile", "nvidia-turing", "--fleet", str(self.fleet), "--out", str(out))
        words += ("--format", image_format, "--apt-source", "deb [trusted=yes] http://10.77.0.1/image ./")
        words += ("--enrol", "https://10.77.0.1:8939", "--pin", self.pin, "--epoch", str(EPOCH), "--json")
        done = self.livefleet(*words, "--authorized-key", str(self.lab.key.with_suffix(".pub")))
        return json.loads(done.stdout)

    def tree(self, image: Path) -> Path:
        """The image unpacked, as whoever boots it would."""
        root = self.folder / "tree"
        root.mkdir()
        words = ["tar", "--extract", "--same-owner", "--same-permissions", "--numeric-owner", "--xattrs"]
        subprocess.run([*words, "--file", str(image), "--directory", str(root)], check=True, timeout=120)
        return root


@pytest.fixture(scope="module")
def yard(lab_hosts: Callable[..., Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("images")
    lab = lab_hosts()
    (lab.public / "image").symlink_to(image_packages())
    shop = Shop(folder / "shop", lab.public / "nvidia")
    try:
        _driver(shop)
        fleet = folder / "fleet.yaml"
        fleet.write_text(FLEET.format(fingerprint=shop.fingerprint))
        made = Yard(lab, folder, a_checkout(folder / "checkout"), fleet, "")
        made.pin = made.livefleet("enrol", "pin", "--keys", str(folder / "keys")).stdout.strip()
        yield made
    finally:
        shop.close()


@pytest.fixture(scope="module")
def image(yard: Yard) -> dict[str, Any]:
    began = time.monotonic()
    manifest = yard.build(yard.folder / "first")
    print(f"image of {manifest['file']['bytes'] >> 20} MiB in {time.monotonic() - began:.1f} s")
    return manifest


@pytest.fixture(scope="module")
def tree(yard: Yard, image: dict[str, Any]) -> Path:
    return yard.tree(yard.folder / "first" / image["file"]["name"])


def test_image__made_of_a_profile__tells_all_that_is_in_it(yard: Yard, image: dict[str, Any], tree: Path) -> None:
    driver = image["driver"]
    assert (driver["version"], driver["kernels"], driver["flavour"]) == (DRIVER, [KERNEL], "open")
    assert driver["source"] == "http://10.77.0.1/nvidia/"
    installed = subprocess.run(
        ["dpkg-query", f"--admindir={tree}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\\n"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    assert sorted(f"{p['name']} {p['version']}" for p in image["packages"]) == sorted(installed)
    assert all(p["sha256"] for p in image["packages"])
    assert {"chain", "media", "node", "pull"} == set(image["release"]["extras"])
    assert str((tree / "opt/livefleet/current").readlink()) == f"releases/{image['release']['id']}"
    inside = json.loads((tree / "usr/share/livefleet/image.json").read_text())
    assert inside == image | {"file": None}
    place = str(yard.folder / "first")
    assert yard.livefleet("image", "verify", place).returncode == 0
    assert DRIVER in yard.livefleet("image", "show", place).stdout


def test_image__looked_through__holds_no_identity_and_no_secret(yard: Yard, tree: Path) -> None:
    assert problems_in(tree) == []
    assert (tree / "etc/machine-id").read_text() == "uninitialized\n"
    assert list((tree / "etc/ssh").glob("ssh_host_*")) == []
    assert not (tree / "var/lib/systemd/random-seed").exists()
    assert list((tree / "var/lib/apt/lists").iterdir()) == []
    assert [path for path in (tree / "var/log").rglob("*") if not path.is_dir()] == []
    assert (tree / "var/log/journal").is_dir()  # else nothing is kept over a reboot
    assert (tree / "root/.ssh/authorized_keys").read_text() == yard.lab.key.with_suffix(".pub").read_text()
    assert not (tree / "etc/livefleet/node.yaml").exists()
    newest = max(path.lstat().st_mtime for path in tree.rglob("*"))
    assert newest <= EPOCH
    for path in ("etc", "usr/share/livefleet", "var/lib/livefleet"):
        for file in (tree / path).rglob("*"):
            assert not file.is_file() or SECRET not in file.read_text(errors="replace")


def test_image__driver__is_pinned_held_and_has_its_module(tree: Path) -> None:
    assert (tree / MODULE.lstrip("/") / "nvidia.ko").exists()
    assert "Pin: version 580.*" in (tree / "etc/apt/preferences.d/livefleet-nvidia").read_text()
    assert "blacklist nouveau" in (tree / "etc/modprobe.d/livefleet-nouveau.conf").read_text()
    status = (tree / "var/lib/dpkg/status").read_text()
    assert "Package: nvidia-driver-cuda\nStatus: hold ok installed" in status
    assert not (tree / "var/lib/livefleet-driver").exists()


def test_image__made_again__has_the_same_digest(yard: Yard, image: dict[str, Any]) -> None:
    began = time.monotonic()
    again = yard.build(yard.folder / "second")
    print(f"again in {time.monotonic() - began:.1f} s")
    told = yard.livefleet(
        "image", "verify", str(yard.folder / "second"), "--against", str(yard.folder / "first"), check=False
    )
    assert told.returncode == 0, told.stdout + _differences(yard)
    assert again == image


def test_image__booted_with_a_stick__becomes_an_enrolled_host(yard: Yard, tree: Path) -> None:
    lab, fleet = yard.lab, ("--fleet", str(yard.fleet))
    stick = yard.folder / "stick"
    stick.mkdir()
    yard.livefleet("enrol", "usb", str(stick), *fleet, "--group", "workers")
    serve = [str(Path(sys.executable).with_name("livefleet")), "enrol", "serve", *fleet]
    serve += ["--keys", str(yard.folder / "keys"), "--listen", "10.77.0.1:8939"]
    lab.spawn(serve, log=yard.folder / "enrol.log", env={**os.environ, "JOIN_SECRET": SECRET}, cwd=yard.checkout)
    began = time.monotonic()
    host = lab.boot_tree(
        "image",
        tree,
        {
            "/etc/systemd/system/systemd-networkd-wait-online.service.d/zz-lab.conf": (IS_ONLINE, 0o644),
            "/boot/livefleet.yaml": ((stick / "livefleet.yaml").read_text(), 0o600),
        },
    )
    _until(host, yard, (host.root / "var/lib/livefleet/first-boot.done").exists)
    print(f"booted and enrolled in {time.monotonic() - began:.1f} s")
    keys = [path.read_text() for path in (host.root / "etc/ssh").glob("ssh_host_*.pub")]
    assert len(keys) == 3
    host.known_hosts.write_text("".join(f"{host.address} {key.rsplit(' ', 1)[0]}\n" for key in keys))
    told = host.run(
        "systemctl is-enabled livefleet.service; systemctl is-enabled nginx.service; cat /etc/machine-id;"
        " stat -c '%a %U' /etc/livefleet/node.yaml /var/lib/livefleet;"
        " nft list table inet livefleet | grep -c 'dport 22 accept';"
        " systemctl is-failed livefleet-first-boot.service; systemctl list-units --failed --plain --no-legend",
        check=False,
    ).stdout.split("\n")
    assert told[:2] == ["enabled", "masked"]
    assert len(told[2]) == 32
    assert told[3:7] == ["600 livefleet", "700 livefleet", "1", "active"]
    assert told[7:] == [""]  # no unit has failed
    listed = json.loads(yard.livefleet("enrol", "list", *fleet, "--json").stdout)
    assert [host["state"] for host in listed] == ["enrolled"]


def _driver(shop: Shop) -> None:
    """The packages of one driver, whose module is for the image's kernel and not for the one that runs here."""
    same = f"{DRIVER}-1"
    unsigned = "grep -qx sign_file=/nonexistent /etc/dkms/framework.conf.d/livefleet-image.conf"
    build = f"set -e; {unsigned}; mkdir -p {MODULE}; cp /usr/share/stand-in/nvidia.ko {MODULE}/; depmod {KERNEL}\n"
    for name in ("nvidia-driver-cuda", "libnvcuvid1", "libnvidia-encode1"):
        shop.add(Package(name, same))
    unit = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
    shop.add(Package("nvidia-persistenced", same, files={"/lib/systemd/system/nvidia-persistenced.service": unit}))
    module = {"/usr/share/stand-in/nvidia.ko": shop.module(DRIVER)}
    shop.add(Package("nvidia-kernel-open-dkms", same, files=module, postinst=build))
    for name in (f"linux-headers-{KERNEL}", "linux-headers-amd64", "dkms", "build-essential"):
        shop.add(Package(name, "1"))
    shop.publish()


def _until(host: Host, yard: Yard, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        if time.monotonic() > deadline or not host.is_running():
            console = host.console.read_text(errors="replace")[-6000:]
            pytest.fail(f"it did not come about:\n{console}\n{(yard.folder / 'enrol.log').read_text()[-2000:]}")
        time.sleep(0.1)


def _differences(yard: Yard) -> str:
    """Which files of the two differ."""
    found = []
    for which in ("first", "second"):
        (path,) = (yard.folder / which).glob("*.tar")
        with tarfile.open(path) as tar:
            found.append({m.name: (m.mode, m.mtime, m.size, m.linkname, _content(tar, m)) for m in tar})
    before, after = found
    return "\n".join(sorted(name for name in {*before, *after} if before.get(name) != after.get(name))[:40])


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> int:
    file = tar.extractfile(member) if member.isreg() else None
    return hash(file.read()) if file is not None else 0
