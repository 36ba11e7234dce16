"""A tree as an ext4 file system, in a file of its own or in a part of one. Nothing is mounted."""

import os
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from deploys.image.chroot import run_tool
from deploys.image.files import ROOT_LABEL
from livefleet.kernel import OutsideWorld

__all__ = ["MIB", "ext4_mib", "tool_environment", "write_ext4"]

MIB: Final = 1 << 20
_BLOCK: Final = 4096
_FEATURES: Final = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,"
    "dir_nlink,extra_isize,metadata_csum"
)
_ROOM_MIB: Final = 256  # the file system's own tables and journal, and some to start in
_BYTES_AN_INODE: Final = 16384


def ext4_mib(root: Path, asked: int | None, beside: int = 0) -> int:
    """MiB of the file system. `asked`: what `--size` says, of which others take `beside`. Raises OutsideWorld."""
    used, _ = _needs(root)
    if asked is None:
        return used + used // 8 + _ROOM_MIB
    if asked - beside < used + _ROOM_MIB // 2:
        least = used + _ROOM_MIB + beside
        raise OutsideWorld(f"{used + beside} MiB do not fit into --size {asked}; give {least} or leave it out")
    return asked - beside


def write_ext4(root: Path, out: Path, *, epoch: int, seed: str, size_mib: int, offset_mib: int = 0) -> None:
    """Write it into the file `out`, which is made where it is not there."""
    _, inodes = _needs(root)
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", _FEATURES, "-b", str(_BLOCK), "-I", "256", "-m", "1"]
    words += ["-N", str(max(size_mib * MIB // _BYTES_AN_INODE, inodes * 3 // 2)), "-L", ROOT_LABEL]
    words += ["-U", str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} root")), "-d", str(root)]
    extended = [f"hash_seed={uuid.uuid5(uuid.NAMESPACE_OID, f'{seed} hash')}", "root_owner=0:0", "lazy_itable_init=0"]
    extended += [f"offset={offset_mib * MIB}"] if offset_mib else []
    environment = {**tool_environment(), "E2FSPROGS_FAKE_TIME": str(epoch)}
    run_tool(
        [*words, "-E", ",".join(extended), str(out), f"{size_mib}M"],
        "writing the file system",
        environment=environment,
    )
    place = f"{out}?offset={offset_mib * MIB}" if offset_mib else str(out)
    # Times of change are those of the tree's inodes, which nobody can set, and a folder's time of access changes with
    # being read: in the image both are the epoch.
    changes = "".join(
        f"sif <{inode}> {time} @{epoch}\n" for inode in _used_inodes(place) for time in ("ctime", "atime")
    )
    run_tool(["debugfs", "-w", "-f", "-", place], "settling times", environment=environment, stdin=changes)


def tool_environment() -> dict[str, str]:
    """Of programs that write images: nothing of who runs them counts."""
    return {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}


def _used_inodes(place: str) -> Iterator[int]:
    text = run_tool(["dumpe2fs", place], "reading the file system", environment=tool_environment())
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
    return -(-blocks * _BLOCK // MIB), len(seen)
