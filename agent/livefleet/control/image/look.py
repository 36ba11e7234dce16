"""Reading an image's manifest: the one that lies beside it, or the one in it."""

import os
import subprocess
import tarfile
from pathlib import Path

from livefleet.kernel import BadInput, OutsideWorld
from livefleet.spec import MANIFEST_IN_IMAGE, ImageFormat, ImageManifest, parse_manifest

__all__ = ["image_of", "manifest_inside", "manifest_of"]

_BESIDE = ".json"


def image_of(place: Path) -> Path:
    """The image that `place` means: the file, its manifest's, or the only one in a folder. Raises BadInput."""
    if place.is_dir():
        manifests = sorted(place.glob(f"*{_BESIDE}"))
        if len(manifests) != 1:
            found = ", ".join(path.name.removesuffix(_BESIDE) for path in manifests) or "none"
            raise BadInput(f"{place} has not one image but {found}: name the file")
        return manifests[0].with_name(manifests[0].name.removesuffix(_BESIDE))
    if place.name.endswith(_BESIDE):
        return place.with_name(place.name.removesuffix(_BESIDE))
    return place


def manifest_of(image: Path) -> ImageManifest:
    """The manifest beside the image, else the one in it, which does not know the file's digest."""
    beside = image.with_name(f"{image.name}{_BESIDE}")
    if not beside.exists():
        return manifest_inside(image)
    try:
        return parse_manifest(beside.read_text(), beside)
    except OSError as error:
        raise BadInput(f"{beside} cannot be read: {error.strerror}") from error


def manifest_inside(image: Path) -> ImageManifest:
    """The one in the image. Raises BadInput where there is none."""
    if not image.is_file():
        raise BadInput(f"{image}: no such file")
    text = _in_tar(image) if image.name.endswith(f".{ImageFormat.ROOTFS_TAR.ending}") else _in_ext4(image)
    return parse_manifest(text, f"{MANIFEST_IN_IMAGE} in {image}")


def _in_tar(image: Path) -> str:
    try:
        with tarfile.open(image) as tar:
            member = tar.extractfile(f".{MANIFEST_IN_IMAGE}")
            assert member is not None
            return member.read().decode()
    except (tarfile.TarError, KeyError, AssertionError) as error:
        raise BadInput(f"{image} is no image of livefleet's: no {MANIFEST_IN_IMAGE} in it") from error


def _in_ext4(image: Path) -> str:
    """By debugfs, which needs no mount and no root."""
    words = ["debugfs", "-R", f"cat {MANIFEST_IN_IMAGE}", str(image)]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "LC_ALL": "C"}
        )
    except FileNotFoundError as error:
        raise OutsideWorld("debugfs is missing: `apt-get install e2fsprogs`") from error
    if not done.stdout:
        raise BadInput(f"{image} is no image of livefleet's: no {MANIFEST_IN_IMAGE} in it")
    return done.stdout
