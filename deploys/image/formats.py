"""A tree as one file: the same bytes from the same tree, whoever makes it and when."""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, assert_never

from deploys.image.chroot import run_tool
from deploys.image.files import ROOT_LABEL
from livefleet.kernel import OutsideWorld
from livefleet.spec import ImageFormat

__all__ = ["missing_tools", "needed_tools", "settle_times", "sha256_of", "write_image"]

_MIB: Final = 1 << 20
_BLOCK: Final = 4096
_FEATURES: Final = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,"
    "dir_nlink,extra_isize,metadata_csum"
)
_ROOM_MIB: Final = 256  # the file system's own tables and journal, and some to start in
_BYTES_AN_INODE: Final = 16384
_PACKAGE_OF: Final = {
    "mmdebstrap": "mmdebstrap",
    "tar": "tar",
    "unshare": "util-linux",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
}


def needed_tools(image_format: ImageFormat) -> tuple[str, ...]:
    """Programs that making it takes."""
    always = ("mmdebstrap", "tar", "unshare")
    match image_format:
        case ImageFormat.ROOTFS_TAR:
            return always
        case ImageFormat.EXT4:
            return (*always, "mke2fs", "debugfs", "dumpe2fs")
        case _:
            assert_never(image_format)


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
    image_format: ImageFormat, root: Path, out: Path, *, epoch: int, seed: str, size_mib: int | None
) -> None:
    """Write the file `out`. `seed`: what identifiers are made from, the tree's digest."""
    match image_format:
        case ImageFormat.ROOTFS_TAR:
            _write_tar(root, out)
        case ImageFormat.EXT4:
            _write_ext4(root, out, epoch=epoch, seed=seed, size_mib=size_mib)
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
    run_tool(words, "writing the tar", environment=_environment())


def _write_ext4(root: Path, out: Path, *, epoch: int, seed: str, size_mib: int | None) -> None:
    used_mib, inodes = _needs(root)
    size = size_mib or used_mib + used_mib // 8 + _ROOM_MIB
    if size < used_mib + _ROOM_MIB // 2:
        raise OutsideWorld(f"{used_mib} MiB do not fit into --size {size}; give {used_mib + _ROOM_MIB} or leave it out")
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", _FEATURES, "-b", str(_BLOCK), "-I", "256", "-m", "1"]
    words += ["-N", str(max(size * _MIB // _BYTES_AN_INODE, inodes * 3 // 2)), "-L", ROOT_LABEL]
    words += ["-U", str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} root")), "-d", str(root)]
    words += ["-E", f"hash_seed={uuid.uuid5(uuid.NAMESPACE_OID, f'{seed} hash')},root_owner=0:0,lazy_itable_init=0"]
    environment = {**_environment(), "E2FSPROGS_FAKE_TIME": str(epoch)}
    out.unlink(missing_ok=True)
    run_tool([*words, str(out), f"{size}M"], "writing the file system", environment=environment)
    # Times of change are those of the tree's inodes, which nobody can set, and a folder's time of access changes with
    # being read: in the image both are the epoch.
    changes = "".join(f"sif <{inode}> {time} @{epoch}\n" for inode in _used_inodes(out) for time in ("ctime", "atime"))
    run_tool(["debugfs", "-w", "-f", "-", str(out)], "settling times", environment=environment, stdin=changes)


def _used_inodes(image: Path) -> Iterator[int]:
    text = run_tool(["dumpe2fs", str(image)], "reading the file system", environment=_environment())
    total = int(_one(r"^Inode count:\s+(\d+)", text))
    first = int(_one(r"^First inode:\s+(\d+)", text))
    free = {n for line in re.findall(r"^  Free inodes: (.+)$", text, re.MULTILINE) for n in _numbers(line)}
    yield from (number for number in range(first, total + 1) if number not in free)


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise OutsideWorld(f"dumpe2fs does not say {pattern}: another version of it?")
    return found[1]


def _numbers(line: str) -> Iterable[int]:
    for part in line.split(","):
        begin, _, end = part.strip().partition("-")
        yield from range(int(begin), int(end or begin) + 1)


def _needs(root: Path) -> tuple[int, int]:
    """MiB of blocks, and inodes."""
    blocks, seen = 0, set()
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            status = os.lstat(os.path.join(folder, name))  # noqa: PTH118 -- ten thousand paths
            if status.st_ino not in seen:
                seen.add(status.st_ino)
                blocks += max(1, -(-status.st_size // _BLOCK))
    return -(-blocks * _BLOCK // _MIB), len(seen)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
