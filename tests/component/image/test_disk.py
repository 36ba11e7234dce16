"""A whole disk out of a small tree: what firmware, kernel and programs of other people's read in it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploys.image.boot import CONSOLES, make_bootable
from deploys.image.disk import BOOT_MIB
from deploys.image.ext4 import MIB
from deploys.image.formats import settle_times, write_image
from livefleet.cli import main
from livefleet.control.image import manifest_of
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.spec import ROOT_PARTITION, ImageDisk, ImageFormat
from tests.builders.image_manifests import a_manifest

pytestmark = pytest.mark.component

EPOCH = 1_700_000_000
KERNEL = "6.1.0-99-amd64"
LOADER = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
BOOT_AT, ROOT_AT = MIB, (1 + BOOT_MIB) * MIB


@dataclass(frozen=True)
class Made:
    """A tree and the disk that it became."""

    tree: Path
    ids: ImageDisk
    file: Path


def a_tree(root: Path, *also: str) -> Path:
    """What of a root file system a disk is made of, with a stand-in for the kernel."""
    contents = {
        "boot/vmlinuz-" + KERNEL: "kernel " * 100_000,
        "boot/initrd.img-" + KERNEL: "initrd " * 500_000,
        "etc/kernel/postinst.d/zz-update": "",
        "usr/share/livefleet/profile.yaml": "",
        "usr/lib/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
        LOADER: "loader " * 1000,
        **dict.fromkeys(also, "x"),
    }
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def a_disk(root: Path, out: Path, *, size_mib: int | None = None) -> Made:
    ids = make_bootable(root, CONSOLES)
    manifest = root / "usr/share/livefleet/image.json"
    manifest.write_text(json.dumps(a_manifest(disk=ids.model_dump(mode="json"))))
    manifest.chmod(0o644)
    settle_times(root, EPOCH)
    write_image(ImageFormat.DISK, root, out, epoch=EPOCH, seed="seed", size_mib=size_mib, disk=ids)
    return Made(root, ids, out)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("disk")
    return a_disk(a_tree(folder / "root"), folder / "cpu-bookworm-amd64.img")


def told(*words: str) -> str:
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC", "MTOOLSRC": "/dev/null"}
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, env=env).stdout


def on_boot(disk: Path, path: str) -> str:
    return told("mtype", "-i", f"{disk}@@{BOOT_AT}", f"::/{path}")


def test_disk__its_table__is_sound_and_names_both_partitions(made: Made) -> None:
    table = json.loads(told("sfdisk", "--json", str(made.file)))["partitiontable"]
    assert (table["label"], table["id"].lower()) == ("gpt", str(made.ids.disk_id))
    boot, root = ({k: v.lower() if isinstance(v, str) else v for k, v in p.items()} for p in table["partitions"])
    assert (boot["type"], boot["uuid"]) == ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", str(made.ids.boot_id))
    assert (root["type"], root["uuid"]) == (ROOT_PARTITION, str(made.ids.root_id))
    assert (boot["start"] * 512, root["start"] * 512) == (BOOT_AT, ROOT_AT)
    assert boot["start"] + boot["size"] == root["start"]
    assert made.file.stat().st_size == (root["start"] + root["size"]) * 512 + MIB
    assert "No errors detected" in told("sfdisk", "--verify", str(made.file))


def test_disk__its_boot_partition__starts_the_kernel_of_the_tree(made: Made, tmp_path: Path) -> None:
    assert on_boot(made.file, "EFI/BOOT/BOOTX64.EFI") == (made.tree / LOADER).read_text()
    assert "default livefleet-*" in on_boot(made.file, "loader/loader.conf").splitlines()
    assert "editor no" in on_boot(made.file, "loader/loader.conf").splitlines()
    entry = dict(
        line.split(None, 1) for line in on_boot(made.file, f"loader/entries/livefleet-{KERNEL}.conf").splitlines()
    )
    assert entry["options"] == f"root=PARTUUID={made.ids.root_id} ro console=ttyS0,115200 console=tty0"
    assert on_boot(made.file, entry["linux"]) == (made.tree / f"boot/vmlinuz-{KERNEL}").read_text()
    assert on_boot(made.file, entry["initrd"]) == (made.tree / f"boot/initrd.img-{KERNEL}").read_text()
    assert (entry["title"], entry["version"]) == ("Debian GNU/Linux 12 (bookworm)", KERNEL)
    with made.file.open("rb") as file, (part := tmp_path / "boot.vfat").open("wb") as out:
        file.seek(BOOT_AT)
        out.write(file.read(32 * MIB))  # nothing of these few files is behind that
        out.truncate(BOOT_MIB * MIB)
    told("fsck.vfat", "-n", str(part))


def test_disk__its_boot_partition__has_no_time_of_making_and_no_identity(made: Made) -> None:
    listed = told("mdir", "-i", f"{made.file}@@{BOOT_AT}", "-/", "-a", "::")
    serial = f"{made.ids.boot_id.int >> 96:08X}"
    assert "random-seed" not in listed
    assert f"Volume Serial Number is {serial[:4]}-{serial[4:]}" in listed
    times = {word for line in listed.splitlines() for word in line.split() if word[:2] == "20" and word.count("-") == 2}
    assert times == {"2023-11-14"}


def test_disk__its_root__is_sound_and_knows_where_it_is(made: Made) -> None:
    place = f"{made.file}?offset={ROOT_AT}"
    told("e2fsck", "-fn", place)
    fstab = told("debugfs", "-R", "cat /etc/fstab", place)
    assert f"PARTUUID={made.ids.root_id} / ext4 errors=remount-ro,x-systemd.growfs 0 1" in fstab.splitlines()
    assert f"PARTUUID={made.ids.boot_id} /boot/efi vfat" in fstab
    assert told("debugfs", "-R", "cat /etc/kernel/cmdline", place).strip() == made.ids.command_line
    assert "Type=root" in told("debugfs", "-R", "cat /etc/repart.d/50-root.conf", place)


def test_disk__its_manifest__is_found_in_it(made: Made) -> None:
    assert manifest_of(made.file).disk == made.ids


def test_disk__made_again__is_the_same_file_whatever_mask_its_builder_has(made: Made, tmp_path: Path) -> None:
    again = a_tree(tmp_path / "root")
    mask = os.umask(0o077)
    try:
        disk = a_disk(again, tmp_path / "again.img")
    finally:
        os.umask(mask)
    for path in ("etc/repart.d", "boot/efi"):
        assert (again / path).stat().st_mode & 0o7777 == 0o755
    assert disk.ids == made.ids
    told("cmp", str(disk.file), str(made.file))


def test_make_bootable__another_tree__has_other_identifiers(made: Made, tmp_path: Path) -> None:
    other = make_bootable(a_tree(tmp_path / "root", "etc/more"), CONSOLES)
    ids = [id_ for disk in (made.ids, other) for id_ in (disk.disk_id, disk.boot_id, disk.root_id)]
    assert len(set(ids)) == 6


def test_disk__of_a_size__is_that_large(tmp_path: Path) -> None:
    made = a_disk(a_tree(tmp_path / "root"), tmp_path / "x.img", size_mib=1024)
    assert made.file.stat().st_size == 1024 * MIB
    with pytest.raises(OutsideWorld, match="do not fit into --size 600"):
        a_disk(a_tree(tmp_path / "another"), tmp_path / "y.img", size_mib=600)


@pytest.mark.parametrize(
    ("missing", "says"),
    [(f"boot/vmlinuz-{KERNEL}", "no kernel"), (f"boot/initrd.img-{KERNEL}", "no initrd"), (LOADER, "systemd-boot")],
)
def test_disk__something_missing_in_the_tree__is_told(tmp_path: Path, missing: str, says: str) -> None:
    tree = a_tree(tmp_path / "root")
    (tree / missing).unlink()
    with pytest.raises(OutsideWorld, match=says):
        a_disk(tree, tmp_path / "x.img")


def test_build_command__kernel_package_and_console_that_cannot_be__are_told_before_anything(tmp_path: Path) -> None:
    words = ["image", "build", "--profile", "cpu", "--duty", "transcoding", "--format", "disk"]
    words += ["--out", str(tmp_path / "out"), "--enrol", "https://e.example:1", "--pin", "sha256:" + "a" * 64]
    words += ["--kernel", "linux-image-rt-amd64", "--package", "a b", "--console", "lpt0"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2, result.output
    for word in ("--kernel linux-image-rt-amd64", "--package 'a b'", "--console 'lpt0'"):
        assert word in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no disk", b"\0" * MIB])
def test_manifest_of__no_disk__is_refused(tmp_path: Path, content: bytes) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(content)
    with pytest.raises(BadInput, match="no root partition in it"):
        manifest_of(image)
