"""The same tree becomes the same file, whatever its inodes' times and whoever reads its folders."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from deploys.image.formats import settle_times, sha256_of, write_image
from deploys.image.inventory import tree_sha256
from livefleet.spec import ImageFormat

pytestmark = pytest.mark.component

EPOCH = 1_700_000_000


def a_tree(root: Path, names: list[str]) -> Path:
    """Files, folders, links of both kinds and odd names, made in the given order."""
    root.mkdir()
    for name in names:
        (root / "etc" / name).mkdir(parents=True)
        (root / "etc" / name / "file").write_text(name * 1000)
    (root / "a name with spaces").write_text("")
    (root / "link").symlink_to("etc/none")
    (root / "hard").hardlink_to(root / "etc/a/file")
    (root / "etc/a/file").chmod(0o4755)
    settle_times(root, EPOCH)
    return root


@pytest.mark.parametrize("image_format", [ImageFormat.ROOTFS_TAR, ImageFormat.EXT4])
def test_write_image__tree_made_twice_in_another_order__is_the_same_file(tmp_path, image_format):
    names = ["a", *(f"n{number}" for number in range(40))]
    first = a_tree(tmp_path / "first", names)
    second = a_tree(tmp_path / "second", names[::-1])
    seed = tree_sha256(first)
    assert tree_sha256(second) == seed
    for path in second.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode)  # its inode's change is a later one
            os.utime(path, (time.time() - 3600, path.stat().st_mtime))  # and somebody has read it
    digests = []
    for tree in (first, second):
        out = tmp_path / f"{tree.name}.out"
        write_image(image_format, tree, out, epoch=EPOCH, seed=seed, size_mib=None)
        digests.append(sha256_of(out))
    assert digests[0] == digests[1]


def test_write_image__ext4__is_sound_and_holds_the_tree(tmp_path):
    tree = a_tree(tmp_path / "tree", ["a", "b"])
    out = tmp_path / "out.ext4"
    write_image(ImageFormat.EXT4, tree, out, epoch=EPOCH, seed="s", size_mib=512)
    assert out.stat().st_size == 512 << 20
    check = subprocess.run(["e2fsck", "-fn", str(out)], capture_output=True, text=True, timeout=60, check=False)
    assert check.returncode == 0, check.stdout
    told = subprocess.run(
        ["debugfs", "-R", "stat /etc/a/file", str(out)], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert "Mode:  04755" in told
    assert "Links: 2" in told
    assert {line.split(":")[1].strip() for line in told.splitlines() if "time:" in line} == {f"0x{EPOCH:08x}"}


@pytest.mark.parametrize("change", ["content", "mode", "name", "link"])
def test_tree_sha256__something_else_in_it__is_another(tmp_path, change):
    tree = a_tree(tmp_path / "tree", ["a", "b"])
    before = tree_sha256(tree)
    match change:
        case "content":
            (tree / "etc/b/file").write_text("x" * 1000)
        case "mode":
            (tree / "etc/b/file").chmod(0o600)
        case "name":
            (tree / "etc/b/file").rename(tree / "etc/b/elif")
        case _:
            (tree / "link").unlink()
            (tree / "link").symlink_to("etc/some")
    assert tree_sha256(tree) != before
