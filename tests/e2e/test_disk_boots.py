"""A whole disk of Debian's own packages, kernel and all, started by firmware in an emulated machine.

`pytest -m boot -s tests/e2e/test_disk_boots.py`, as root, prints what took how long: ten minutes to half an hour. It
needs qemu-system-x86, ovmf, dosfstools, mtools, fdisk, and Debian's mirror.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.builders.agents import free_port
from tests.builders.deploys import a_checkout
from tests.builders.virtual_machine import HOST_FROM_INSIDE, VirtualMachine, a_stick, started

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]

SUITE = os.environ.get("LIVEFLEET_BOOT_SUITE", "bookworm")
SECRET = "join-secret-7f3a"
LARGER = 2 << 30  # bytes that the disk has more than the image
FLEET = """\
name: home
secrets: {join: {env: JOIN_SECRET}}
defaults: {profile: cpu}
groups:
  workers:
    role: worker
    duties: {transcoding: {encoder: software, max_sessions: 1}}
    worker: {orchestrator: "10.0.2.2:1", secret: join}
hosts:
  declared: {address: 10.0.0.1, groups: [workers]}
"""


@dataclass
class Works:
    """Where the disk is made, and where its host enrols."""

    folder: Path
    checkout: Path
    port: int

    @property
    def fleet(self) -> Path:
        return self.folder / "fleet.yaml"

    @property
    def key(self) -> Path:
        return self.folder / "id"

    def livefleet(self, *words: str) -> str:
        env = os.environ | {"JOIN_SECRET": SECRET}
        done = subprocess.run(
            [self._program, *words],
            cwd=self.checkout,
            env=env,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def disk(self, out: Path) -> dict[str, Any]:
        """Made of what Debian has today; its kernel speaks on the serial port."""
        pin = self.livefleet("enrol", "pin", "--keys", str(self.folder / "keys")).strip()
        words = ("image", "build", "--profile", "cpu", "--duty", "transcoding", "--format", "disk", "--suite", SUITE)
        words += ("--enrol", f"https://{HOST_FROM_INSIDE}:{self.port}", "--pin", pin, "--out", str(out), "--json")
        words += (
            "--console",
            "tty0",
            "--console",
            "ttyS0,115200",
            "--authorized-key",
            str(self.key.with_suffix(".pub")),
        )
        manifest: dict[str, Any] = json.loads(self.livefleet(*words))
        self.livefleet("image", "verify", str(out))
        return manifest

    @contextmanager
    def enrolling(self) -> Iterator[None]:
        words = [self._program, "enrol", "serve", "--fleet", str(self.fleet), "--keys", str(self.folder / "keys")]
        with (self.folder / "enrol.log").open("wb") as log:
            process = subprocess.Popen(
                [*words, "--listen", f"127.0.0.1:{self.port}"],
                cwd=self.checkout,
                env=os.environ | {"JOIN_SECRET": SECRET},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)

    def hosts(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = json.loads(self.livefleet("enrol", "list", "--fleet", str(self.fleet), "--json"))
        return told

    @property
    def _program(self) -> str:
        return str(Path(sys.executable).with_name("livefleet"))


@pytest.fixture
def works(tmp_path: Path) -> Works:
    made = Works(tmp_path, a_checkout(tmp_path / "checkout"), free_port())
    made.fleet.write_text(FLEET)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made.key)], check=True, timeout=60)
    return made


def test_disk__started_by_firmware__becomes_an_enrolled_host_whose_next_kernel_boots_too(works: Works) -> None:
    began = time.monotonic()
    manifest = works.disk(works.folder / "out")
    tell("made", time.monotonic() - began)
    (works.folder / "stick").mkdir()
    works.livefleet("enrol", "usb", str(works.folder / "stick"), "--fleet", str(works.fleet), "--group", "workers")
    stick = a_stick(works.folder / "stick.img", works.folder / "stick/livefleet.yaml")
    disk = works.folder / "out" / manifest["file"]["name"]
    os.truncate(disk, disk.stat().st_size + LARGER)
    with works.enrolling(), started(works.folder / "vm", disk, [stick], works.key, free_port()) as machine:
        tell("kernel runs", machine.until("the kernel", lambda: "Linux version" in machine.said, 300))
        tell("enrolled", machine.until("enrolment", lambda: is_enrolled(works), 900))
        tell("ssh answers", machine.until("ssh", machine.answers, 300))
        tell("agent reports", machine.until("a report", lambda: has_reported(works), 900))
        first = looked_at(machine, manifest, disk)
        a_kernel_is_installed_again(machine, *manifest["kernels"])
        before = machine.run("cat /proc/sys/kernel/random/boot_id")
        machine.run("systemctl reboot", timeout_s=60)
        tell("started again", machine.until("another start", lambda: boot_of(machine) not in {None, before}, 600))
        machine.until("the agent", lambda: machine.run("systemctl is-active livefleet.service || :") == "active", 300)
        assert looked_at(machine, manifest, disk) == first
    assert machine.said.count("enrolled as") == 1


def looked_at(machine: VirtualMachine, manifest: dict[str, Any], disk: Path) -> dict[str, str]:
    """What the page about images lists to look at on real hardware. What has to stay as it is over a start."""
    assert machine.run("uname -r") in manifest["kernels"]
    assert machine.run("cat /proc/cmdline").endswith(manifest["disk"]["command_line"])
    assert machine.run("systemctl is-active systemd-repart.service systemd-growfs@-.service").split() == ["active"] * 2
    size_mib = int(machine.run("df --output=size -m / | tail -n 1"))
    assert size_mib > (disk.stat().st_size >> 20) * 0.9 - 513
    assert machine.run("bootctl is-installed") == "yes"
    assert machine.run("ls /boot/efi/livefleet").split() == manifest["kernels"]
    assert machine.run("systemctl list-units --failed --plain --no-legend") == ""
    assert machine.run("systemctl is-active livefleet.service ssh.service").split() == ["active"] * 2
    return {
        "machine": machine.run("cat /etc/machine-id"),
        "keys": machine.run("cat /etc/ssh/ssh_host_*.pub"),
        "name": machine.run("hostname"),
    }


def a_kernel_is_installed_again(machine: VirtualMachine, kernel: str) -> None:
    """As apt does it with a security fix: another initrd, and the package's hooks bring both where firmware looks."""
    before = machine.run(f"sha256sum </boot/efi/livefleet/{kernel}/initrd.img-{kernel}")
    machine.run("echo '# changed' >> /etc/initramfs-tools/initramfs.conf")
    began = time.monotonic()
    machine.run(f"rm /boot/efi/loader/entries/livefleet-{kernel}.conf; update-initramfs -u -k {kernel}", timeout_s=1800)
    tell("another initrd", time.monotonic() - began)
    machine.run(f"cmp /boot/initrd.img-{kernel} /boot/efi/livefleet/{kernel}/initrd.img-{kernel}")
    assert machine.run(f"sha256sum </boot/efi/livefleet/{kernel}/initrd.img-{kernel}") != before


def is_enrolled(works: Works) -> bool:
    return [host["state"] for host in works.hosts()] == ["enrolled"]


def has_reported(works: Works) -> bool:
    return any(host["report"] for host in works.hosts())


def boot_of(machine: VirtualMachine) -> str | None:
    return machine.run("cat /proc/sys/kernel/random/boot_id") if machine.answers() else None


def tell(what: str, seconds: float) -> None:
    print(f"{what:<15} {seconds:6.1f} s")
