"""A tree as a whole disk: a partition that UEFI firmware starts from, and root behind it. Nothing is mounted."""

from pathlib import Path, PurePosixPath
from typing import Final

from deploys.image.boot import boot_partition
from deploys.image.chroot import run_tool
from deploys.image.ext4 import MIB, ext4_mib, tool_environment, write_ext4
from livefleet.kernel import OutsideWorld
from livefleet.spec import ROOT_PARTITION, ImageDisk

__all__ = ["BOOT_MIB", "write_disk"]

BOOT_MIB: Final = 512
"""The EFI system partition: room for three kernels with a driver in their initrd."""

_BOOT_PARTITION: Final = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"  # an EFI system partition's type; UEFI 2.10, 5.3.3
_SECTOR: Final = 512
_BEGIN_MIB: Final = 1  # partitions begin at a whole MiB
_END_MIB: Final = 1  # the table's second copy
_ROOM_MIB: Final = 8  # FAT's own tables
_LABEL: Final = "LF-BOOT"  # not what the first boot takes for a stick


def write_disk(root: Path, out: Path, disk: ImageDisk, *, epoch: int, seed: str, size_mib: int | None) -> None:
    """Write the file `out`. Raises OutsideWorld where something is missing in the tree, or it does not fit."""
    files = boot_partition(root, disk)
    taken = sum(path.stat().st_size for path in files.values() if isinstance(path, Path)) // MIB + _ROOM_MIB
    if taken > BOOT_MIB:
        raise OutsideWorld(f"kernel and initrd take {taken} MiB, and the partition for them has {BOOT_MIB}")
    root_at = _BEGIN_MIB + BOOT_MIB
    root_mib = ext4_mib(root, size_mib, root_at + _END_MIB)
    with out.open("wb") as file:
        file.truncate((root_at + root_mib + _END_MIB) * MIB)
    _write_table(out, disk, root_mib)
    _write_boot(out, files, disk, epoch)
    write_ext4(root, out, epoch=epoch, seed=seed, size_mib=root_mib, offset_mib=root_at)


def _write_table(out: Path, disk: ImageDisk, root_mib: int) -> None:
    partitions = (
        ("boot", _BEGIN_MIB, BOOT_MIB, _BOOT_PARTITION, disk.boot_id),
        ("root", _BEGIN_MIB + BOOT_MIB, root_mib, ROOT_PARTITION, disk.root_id),
    )
    script = f"label: gpt\nlabel-id: {disk.disk_id}\n" + "".join(
        f"start={begin}MiB, size={size}MiB, type={kind}, uuid={id_}, name=livefleet-{name}\n"
        for name, begin, size, kind, id_ in partitions
    )
    words = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(out)]
    run_tool(words, "writing the partition table", environment=tool_environment(), stdin=script)


def _write_boot(out: Path, files: dict[str, Path | str], disk: ImageDisk, epoch: int) -> None:
    """The FAT file system, by mtools, which takes all times from SOURCE_DATE_EPOCH."""
    environment = {**tool_environment(), "SOURCE_DATE_EPOCH": str(epoch), "MTOOLSRC": "/dev/null"}
    what, begin = "writing the boot partition", _BEGIN_MIB * MIB
    make = ["mkfs.vfat", "--invariant", "-i", f"{disk.boot_id.int >> 96:08X}", "-F", "32", "-n", _LABEL]
    make += ["-h", str(begin // _SECTOR), "--offset", str(begin // _SECTOR), str(out), str(BOOT_MIB * 1024)]
    run_tool(make, what, environment=environment)
    place = ["-i", f"{out}@@{begin}"]
    folders = {str(above) for name in files for above in PurePosixPath(name).parents if above.name}
    run_tool(["mmd", *place, *(f"::/{folder}" for folder in sorted(folders))], what, environment=environment)
    for name, content in files.items():
        given, source = (content, "-") if isinstance(content, str) else ("", str(content))
        run_tool(["mcopy", *place, source, f"::/{name}"], what, environment=environment, stdin=given)
