"""A machine in software: UEFI firmware, a disk, a stick, a network that leads to this machine alone."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HOST_FROM_INSIDE", "VirtualMachine", "a_stick", "started"]

HOST_FROM_INSIDE = "10.0.2.2"
"""This machine's loopback, as the guest reaches it."""

_FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")  # without secure boot
_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


@dataclass
class VirtualMachine:
    """A running one. `console`: what its serial port has said."""

    process: "subprocess.Popen[bytes]"
    console: Path
    ssh_port: int
    key: Path

    @property
    def said(self) -> str:
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def until(self, what: str, condition: Callable[[], bool], within_s: float) -> float:
        """Wait; the seconds that it took. Fails with the end of the console."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > within_s or self.process.poll() is not None:
                raise AssertionError(f"{what} did not come about within {within_s} s:\n{self.said[-6000:]}")
            time.sleep(3)
        return time.monotonic() - began

    def run(self, text: str, *, timeout_s: float = 300) -> str:
        """Shell text as root over ssh; what it printed."""
        done = self._ssh(text, timeout_s)
        assert done.returncode == 0, f"{text}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def answers(self) -> bool:
        """Whether somebody can log in."""
        try:
            return self._ssh("true", 60).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def _ssh(self, text: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=30")
        words = ["ssh", "-q", "-i", str(self.key), "-p", str(self.ssh_port), *(f"-o{option}" for option in options)]
        return subprocess.run(
            [*words, "root@127.0.0.1", text],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


@contextmanager
def started(folder: Path, disk: Path, sticks: Sequence[Path], key: Path, ssh_port: int) -> Iterator[VirtualMachine]:
    """A machine with that disk; it is gone afterwards. No acceleration: it is the same wherever it runs."""
    folder.mkdir()
    shutil.copyfile(_VARIABLES, variables := folder / "variables.fd")
    words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"]
    words += ["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2G", "-device", "virtio-rng-pci"]
    words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_FIRMWARE}"]
    words += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
    words += ["-drive", f"if=virtio,format=raw,file={disk}", "-device", "qemu-xhci"]
    for number, stick in enumerate(sticks):
        words += ["-drive", f"if=none,id=stick{number},format=raw,file={stick}"]
        words += ["-device", f"usb-storage,drive=stick{number}"]
    words += ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{ssh_port}-:22", "-device", "virtio-net-pci,netdev=net"]
    words += ["-serial", f"file:{folder / 'console'}"]
    with (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    machine = VirtualMachine(process, folder / "console", ssh_port, key)
    try:
        yield machine
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def a_stick(path: Path, file: Path) -> Path:
    """A stick with one file on it, as a shop sells them: FAT, by its label found."""
    with path.open("wb") as stick:
        stick.truncate(64 << 20)
    for words in (
        ["mkfs.vfat", "-F", "32", "-n", "LIVEFLEET", str(path)],
        ["mcopy", "-i", str(path), str(file), f"::/{file.name}"],
    ):
        subprocess.run(words, check=True, capture_output=True, timeout=60)
    return path
