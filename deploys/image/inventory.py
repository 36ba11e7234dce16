"""What a filled tree holds, as the manifest tells it."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deploys.image.chroot import Chroot
from deploys.release import Release
from livefleet.spec import MANIFEST_IN_IMAGE, ImagePackage, ImageWheel

__all__ = ["kernels_in", "packages_in", "tree_sha256", "wheels_of"]

_PACKAGES: Final = r"dpkg-query -W -f '${db:Status-Abbrev}|${Package}|${Version}|${Architecture}\n'"
_INDEX: Final = "dpkg-query -W -f '${Package}:${Architecture}=${Version}\\n' | xargs -r apt-cache show --"
_BLOCK: Final = 1 << 20


def kernels_in(root: Path) -> tuple[str, ...]:
    """Versions of the kernels, as `uname -r` would say them."""
    return tuple(sorted(path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*")))


def packages_in(tree: Chroot) -> tuple[ImagePackage, ...]:
    """Every installed package with the digest that its source's index has; the lists must still be there."""
    known = dict(_hashes(tree.run("reading the package index", _INDEX).splitlines()))
    found = []
    for line in tree.run("reading the packages", _PACKAGES).splitlines():
        status, name, version, architecture = line.split("|")
        if status[1] == "i":
            sha256 = known.get((name, version, architecture))
            found.append(ImagePackage(name=name, version=version, architecture=architecture, sha256=sha256))
    return tuple(sorted(found, key=lambda package: (package.name, package.architecture)))


def wheels_of(release: Release) -> tuple[ImageWheel, ...]:
    """What the agent's environment is made of, livefleet's own wheel last."""
    wheels = (*sorted(release.wheels, key=lambda wheel: wheel.name), release.wheel)
    return tuple(ImageWheel(file=wheel.name, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest()) for wheel in wheels)


def tree_sha256(root: Path) -> str:
    """Over path, kind, mode, owner and content of everything but the manifest. Times do not count."""
    total = hashlib.sha256()
    own = root / MANIFEST_IN_IMAGE.lstrip("/")
    for path in _walk(root):
        if path == own:
            continue
        status = path.lstat()
        name = os.fsencode(path.relative_to(root))
        total.update(b"%s\0%o %d:%d\0" % (name, status.st_mode, status.st_uid, status.st_gid))
        total.update(_content(path, status))
    return total.hexdigest()


def _content(path: Path, status: os.stat_result) -> bytes:
    if stat.S_ISLNK(status.st_mode):
        return os.fsencode(path.readlink())
    if stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    return b"%d" % status.st_rdev


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name)):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))


def _hashes(lines: Sequence[str]) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Of `apt-cache show`: a block a package, with fields one a line."""
    fields: dict[str, str] = {}
    for line in (*lines, ""):
        if line:
            name, colon, value = line.partition(": ")
            if colon and not line[:1].isspace():
                fields[name] = value
            continue
        if "SHA256" in fields:
            yield (fields["Package"], fields["Version"], fields["Architecture"]), fields["SHA256"]
        fields = {}
