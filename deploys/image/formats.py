"""A tree as one file: the same bytes from the same tree, whoever makes it and when."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final, assert_never

from deploys.image.chroot import run_tool
from deploys.image.disk import write_disk
from deploys.image.ext4 import ext4_mib, tool_environment, write_ext4
from livefleet.spec import ImageDisk, ImageFormat

__all__ = ["missing_tools", "needed_tools", "packages_of_tools", "settle_times", "sha256_of", "write_image"]

_PACKAGE_OF: Final = {
    "mmdebstrap": "mmdebstrap",
    "tar": "tar",
    "unshare": "util-linux",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "mmd": "mtools",
}


def needed_tools(image_format: ImageFormat) -> tuple[str, ...]:
    """Programs that making it takes."""
    always = ("mmdebstrap", "tar", "unshare")
    ext4 = (*always, "mke2fs", "debugfs", "dumpe2fs")
    match image_format:
        case ImageFormat.ROOTFS_TAR:
            return always
        case ImageFormat.EXT4:
            return ext4
        case ImageFormat.DISK:
            return (*ext4, "sfdisk", "mkfs.vfat", "mcopy", "mmd")
        case _:
            assert_never(image_format)


def packages_of_tools(image_format: ImageFormat) -> list[str]:
    """Debian's packages that have them."""
    return sorted({_PACKAGE_OF[tool] for tool in needed_tools(image_format)})


def missing_tools(image_format: ImageFormat) -> list[str]:
    """Packages of those that are not here."""
    return sorted({_PACKAGE_OF[tool] for tool in needed_tools(image_format) if shutil.which(tool) is None})


def settle_times(root: Path, epoch: int) -> None:
    """Let nothing in the tree be newer than `epoch`; what is older keeps its time."""
    for folder, folders, files in os.walk(root, topdown=False):
        for name in (*folders, *files):
            path = os.path.join(folder, name)  # noqa: PTH118 -- ten thousand paths
            _settle(path, epoch)
    _settle(str(root), epoch)


def _settle(path: str, epoch: int) -> None:
    at = min(epoch * 10**9, os.lstat(path).st_mtime_ns)
    os.utime(path, ns=(at, at), follow_symlinks=False)


def write_image(
    image_format: ImageFormat,
    root: Path,
    out: Path,
    *,
    epoch: int,
    seed: str,
    size_mib: int | None,
    disk: ImageDisk | None = None,
) -> None:
    """Write the file `out`. `seed`: what identifiers are made from, the tree's digest. `disk`: those of a disk."""
    match image_format:
        case ImageFormat.ROOTFS_TAR:
            _write_tar(root, out)
        case ImageFormat.EXT4:
            write_ext4(root, out, epoch=epoch, seed=seed, size_mib=ext4_mib(root, size_mib))
        case ImageFormat.DISK:
            assert disk is not None
            write_disk(root, out, disk, epoch=epoch, seed=seed, size_mib=size_mib)
        case _:
            assert_never(image_format)


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_tar(root: Path, out: Path) -> None:
    options = "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"
    words = ["tar", "--create", "--file", str(out), "--directory", str(root), "--format=pax", options, "--sort=name"]
    words += ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--one-file-system", "."]
    run_tool(words, "writing the tar", environment=tool_environment())
