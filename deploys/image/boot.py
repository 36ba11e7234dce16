"""What makes a tree boot by itself: files in it, and files of the partition that firmware reads.

The same layout as Debian's `kernel-install` makes, so that a kernel that apt brings later replaces the image's own.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deploys.image.files import ROOT_LABEL
from deploys.image.inventory import kernels_in, tree_sha256
from livefleet.kernel import LivefleetError, OutsideWorld
from livefleet.spec import ImageDisk

__all__ = ["CONSOLES", "boot_partition", "make_bootable"]

CONSOLES: Final = ("ttyS0,115200", "tty0")
"""Where the kernel speaks unless asked otherwise; what is last is /dev/console, hence where the first boot speaks."""

_MOUNTED_AT: Final = "/boot/efi"
_LOADER: Final = Path("usr/lib/systemd/boot/efi/systemd-bootx64.efi")
_ENTRIES: Final = "livefleet"  # names entries in place of a machine's id, which an image does not have
# Without an editor: whoever stands at the screen would be root by a word on the kernel's command line.
_LOADER_SETTINGS: Final = f"default {_ENTRIES}-*\ntimeout 3\neditor no\nconsole-mode keep\n"


def make_bootable(root: Path, consoles: Sequence[str]) -> ImageDisk:
    """Put what names the disk's partitions into a tree that is finished but for it.

    Identifiers come from all that is in the tree: disks of two images are told apart, two builds of one are the same.
    """
    disk = _disk_of(tree_sha256(root), consoles)
    files = {root / name.lstrip("/"): text for name, text in _files(disk).items()}
    for folder in {root / _MOUNTED_AT.lstrip("/"), *(path.parent for path in files)}:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # whatever mask its builder works with
    for path, text in files.items():
        path.write_text(text)
        path.chmod(0o644)
    return disk


def boot_partition(root: Path, disk: ImageDisk) -> dict[str, Path | str]:
    """Files of the EFI system partition by path: content, or the tree's file that is copied. Raises OutsideWorld."""
    kernels = kernels_in(root)
    if not kernels:
        raise OutsideWorld("there is no kernel in the image's /boot: its package brought none")
    if not (root / _LOADER).is_file():
        raise OutsideWorld(f"the image has no /{_LOADER}: its package systemd-boot brought none")
    return {
        "EFI/BOOT/BOOTX64.EFI": root / _LOADER,  # what firmware starts that has not been told anything
        "EFI/systemd/systemd-bootx64.efi": root / _LOADER,  # what `bootctl` looks for and keeps up to date
        "loader/loader.conf": _LOADER_SETTINGS,
        "loader/entries.srel": "type1\n",
        **dict(_entries(root, kernels, disk)),
    }


def _disk_of(seed: str, consoles: Sequence[str]) -> ImageDisk:
    root = _id(seed, "root partition")
    words = [f"root=PARTUUID={root}", "ro", *(f"console={console}" for console in consoles)]
    return ImageDisk(
        disk_id=_id(seed, "disk"), boot_id=_id(seed, "boot partition"), root_id=root, command_line=" ".join(words)
    )


def _files(disk: ImageDisk) -> dict[str, str]:
    """Where root and kernels are, and that root grows to the whole disk."""
    return {
        "/etc/fstab": (
            f"# The file system's label is {ROOT_LABEL}; a second disk of the image's family may have the same.\n"
            f"PARTUUID={disk.root_id} / ext4 errors=remount-ro,x-systemd.growfs 0 1\n"
            f"PARTUUID={disk.boot_id} {_MOUNTED_AT} vfat"
            " umask=0077,nofail,x-systemd.automount,x-systemd.idle-timeout=2min 0 0\n"
        ),
        "/etc/kernel/cmdline": f"{disk.command_line}\n",
        "/etc/kernel/entry-token": f"{_ENTRIES}\n",
        "/etc/kernel/install.conf": "layout=bls\n",
        "/etc/repart.d/50-root.conf": "# The root partition takes what is free behind it.\n[Partition]\nType=root\n",
    }


def _entries(root: Path, kernels: Sequence[str], disk: ImageDisk) -> Iterator[tuple[str, Path | str]]:
    for kernel in kernels:
        folder, initrd = f"{_ENTRIES}/{kernel}", root / f"boot/initrd.img-{kernel}"
        if not initrd.is_file():
            raise OutsideWorld(f"the image's kernel {kernel} has no initrd: no {initrd.name} in /boot")
        yield f"{folder}/linux", root / f"boot/vmlinuz-{kernel}"
        yield f"{folder}/{initrd.name}", initrd
        said = {
            "title": _os(root, "PRETTY_NAME"),
            "version": kernel,
            "sort-key": _os(root, "ID"),
            "options": disk.command_line,
            "linux": f"/{folder}/linux",
            "initrd": f"/{folder}/{initrd.name}",
        }
        yield f"loader/entries/{_ENTRIES}-{kernel}.conf", "".join(f"{key:<10} {value}\n" for key, value in said.items())


def _os(root: Path, field: str) -> str:
    found = re.search(rf'^{field}="?([^"\n]*)"?$', (root / "usr/lib/os-release").read_text(), re.MULTILINE)
    if found is None:
        raise LivefleetError(f"the image's os-release has no {field}")
    return found[1]


def _id(seed: str, what: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} {what}")
