"""What making an image takes of the machine."""

import pytest

from deploys.image.formats import missing_tools
from livefleet.spec import ImageFormat

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("image_format", "packages"),
    [
        (ImageFormat.ROOTFS_TAR, ["mmdebstrap", "tar", "util-linux"]),
        (ImageFormat.EXT4, ["e2fsprogs", "mmdebstrap", "tar", "util-linux"]),
        (ImageFormat.DISK, ["dosfstools", "e2fsprogs", "fdisk", "mmdebstrap", "mtools", "tar", "util-linux"]),
    ],
)
def test_missing_tools__bare_machine__are_told_by_their_packages(monkeypatch, tmp_path, image_format, packages):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_tools(image_format) == packages


def test_missing_tools__some_there__tells_the_rest(monkeypatch, tmp_path):
    for name in ("mmdebstrap", "tar", "unshare", "mke2fs"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_tools(ImageFormat.ROOTFS_TAR) == []
    assert missing_tools(ImageFormat.EXT4) == ["e2fsprogs"]
