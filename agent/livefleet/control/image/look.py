"""Reading an image's manifest: the one that lies beside it, or the one in it."""

import json
import os
import subprocess
import tarfile
from pathlib import Path

from livefleet.kernel import BadInput, OutsideWorld
from livefleet.spec import MANIFEST_IN_IMAGE, ROOT_PARTITION, ImageFormat, ImageManifest, parse_manifest

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
    if image.name.endswith(f".{ImageFormat.ROOTFS_TAR.ending}"):
        text = _in_tar(image)
    elif image.name.endswith(f".{ImageFormat.DISK.ending}"):
        text = _in_ext4(image, _begin_of_root(image))
    else:
        text = _in_ext4(image)
    return parse_manifest(text, f"{MANIFEST_IN_IMAGE} in {image}")


def _in_tar(image: Path) -> str:
    try:
        with tarfile.open(image) as tar:
            member = tar.extractfile(f".{MANIFEST_IN_IMAGE}")
            assert member is not None
            return member.read().decode()
    except (tarfile.TarError, KeyError, AssertionError) as error:
        raise BadInput(f"{image} is no image of livefleet's: no {MANIFEST_IN_IMAGE} in it") from error


def _in_ext4(image: Path, begin: int = 0) -> str:
    """By debugfs, which needs no mount and no root. `begin`: byte that the file system begins at."""
    place = f"{image}?offset={begin}" if begin else str(image)
    told = _told(["debugfs", "-R", f"cat {MANIFEST_IN_IMAGE}", place], "e2fsprogs")
    if not told:
        raise BadInput(f"{image} is no image of livefleet's: no {MANIFEST_IN_IMAGE} in it")
    return told


def _begin_of_root(image: Path) -> int:
    """Byte that a disk's root partition begins at."""
    try:
        table = json.loads(_told(["sfdisk", "--json", str(image)], "fdisk"))["partitiontable"]
        root = next(partition for partition in table["partitions"] if partition["type"].lower() == ROOT_PARTITION)
        return int(root["start"]) * int(table.get("sectorsize", 512))
    except (ValueError, KeyError, StopIteration) as error:
        raise BadInput(f"{image} is no disk of livefleet's: no root partition in it") from error


def _told(words: list[str], package: str) -> str:
    try:
        environment = {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, env=environment)
    except FileNotFoundError as error:
        raise OutsideWorld(f"{words[0]} is missing: `apt-get install {package}`") from error
    return done.stdout
