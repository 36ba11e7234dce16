"""What images are made of, as an apt repository: fetched once from the mirror that this machine's apt names.

The lab serves it, so that making an image in a test reaches nothing else. The kernel in it is a stand-in by name: what
is started from an image here is a container.
"""

import hashlib
import shutil
from pathlib import Path

from deploys.image.bases import BASES
from tests.lab import repository, sources
from tests.lab.base import SUITE, only_one, store
from tests.lab.shell import run

__all__ = ["KERNEL", "image_packages"]

KERNEL = "6.1.0-99-amd64"

_ALSO = ("?essential", "?priority(required)")
_STAND_IN = f"""\
set -eu
root="$1/package"
modules="$root/lib/modules/{KERNEL}"
mkdir -p "$root/DEBIAN" "$root/boot" "$modules" "$root/usr/share/doc/linux-image-amd64"
for line in "Package: linux-image-amd64" "Version: 6.1.999-1" "Architecture: amd64" "Maintainer: test" \
  "Description: stand-in"; do echo "$line"; done > "$root/DEBIAN/control"
echo test-only | tee "$root/boot/vmlinuz-{KERNEL}" > "$root/usr/share/doc/linux-image-amd64/copyright"
touch "$modules/modules.order" "$modules/modules.builtin"
export SOURCE_DATE_EPOCH=1700000000
dpkg-deb --root-owner-group -Zgzip --build "$root" "$2/linux-image-amd64_6.1.999-1_amd64.deb"
"""
_SETTINGS = """\
Dir "{root}";
Dir::State::status "{root}/var/lib/dpkg/status";
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d/";
APT::Get::Assume-Yes "true";
APT::Install-Recommends "false";
"""


def image_packages() -> Path:
    """The folder of the repository; one process makes it, others wait for it."""
    wanted = BASES[SUITE].packages
    key = hashlib.sha256("\0".join(["2", SUITE, _SETTINGS, _STAND_IN, *wanted, *_ALSO]).encode()).hexdigest()[:12]
    finished = store() / f"image-{SUITE}-{key}"
    with only_one(store() / "image.lock"):
        if not finished.exists():
            _fetch(finished, wanted)
    return finished


def _fetch(finished: Path, wanted: tuple[str, ...]) -> None:
    partial = finished.with_name(f"{finished.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    root = partial / "apt"
    folders = ("etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d", "var/lib/dpkg")
    for folder in (*folders, "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    (root / "etc/apt/sources.list.d/mirror.sources").write_text(sources.sources_of(SUITE))
    (settings := partial / "apt.conf").write_text(_SETTINGS.format(root=root) + sources.download_settings())
    env = {"APT_CONFIG": str(settings), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    run(["apt-get", "-q", "update"], timeout_s=300, env=env)
    run(["apt-get", "-q", "--download-only", "install", *_ALSO, *wanted], timeout_s=600, env=env)
    debs = partial / "debs"
    (root / "var/cache/apt/archives").rename(debs)
    shutil.rmtree(debs / "partial")
    run(["sh", "-c", _STAND_IN, "sh", str(partial), str(debs)])
    repository.index(debs, SUITE)
    debs.rename(finished)
    shutil.rmtree(partial)
