"""Taking out of a tree what belongs to one machine or to the making of it, and looking whether it is out."""

import re
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path
from typing import Final

from deploys.image.files import HOSTNAME
from livefleet.kernel import OutsideWorld

__all__ = ["REMOVED", "neutralise", "problems_in"]

REMOVED: Final = {
    "ssh host keys": ("etc/ssh/ssh_host_*",),
    "machine id copies": ("var/lib/dbus/machine-id", "etc/machine-info"),
    "random seed": ("var/lib/systemd/random-seed", "var/lib/systemd/credential.secret"),
    "clock of the builder": ("var/lib/systemd/timesync/*",),
    "package lists": ("var/lib/apt/lists/*", "var/cache/apt/*", "var/lib/apt/periodic/*", "var/lib/livefleet-driver"),
    "package manager's leftovers": (
        "var/lib/dpkg/*-old",
        "var/lib/dpkg/lock*",
        "var/cache/debconf/*-old",
        "etc/apt/apt.conf.d/99mmdebstrap",
        "usr/sbin/policy-rc.d",
    ),
    "backups of user files": tuple(
        f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
    ),
    "logs": ("var/log/journal/*", "var/log/**", "var/lib/dkms/*/*/*/*/log/*"),
    "keys of the builder's modules": ("var/lib/dkms/mok.*", "etc/dkms/framework.conf.d/livefleet-image.conf"),
    "shell history": ("root/.*_history", "home/*/.*_history", "root/.cache", "root/.wget-hsts", "root/.gnupg"),
    "cloud-init state": ("var/lib/cloud",),
    "leases": ("var/lib/dhcp/*", "var/lib/NetworkManager/*", "var/lib/systemd/network/*"),
    "caches that name inodes": ("var/cache/ldconfig/*", "var/cache/man/*"),
    "installer's leftovers": tuple(f"opt/livefleet/{n}" for n in ("incoming", "cache", "bundles", "install.lock")),
    "temporary files": ("tmp/*", "var/tmp/*", "run/*", "etc/.pwd.lock"),
    "network of the builder": ("etc/resolv.conf",),
    "state of a node": ("etc/livefleet/node.yaml", "var/lib/livefleet/*", "var/lib/private/livefleet"),
}
"""What is removed, by what it is: globs from the tree's top. A last `**`: every file below, and no folder."""

_LOOKED_INTO: Final = ("etc", "home", "root", "usr/local", "usr/share/livefleet", "var/lib", "opt", "srv")
_NOT_LOOKED_INTO: Final = ("venv",)  # libraries carry keys of their tests
_KEY: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|\"ciphertext\"\s*:\s*\"[0-9a-f]{32}")
_BY_ADDRESS: Final = re.compile(rb"(?im)^\s*(?:Permanent)?MACAddress\s*=|^\s*hwaddress\b")
_LARGEST: Final = 1 << 20


def neutralise(root: Path) -> None:
    """Remove it all. Nothing outside the tree is touched: links are removed, not followed."""
    for globs in REMOVED.values():
        for pattern in globs:
            for path in _found(root, pattern):
                _remove(path)
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")


def problems_in(root: Path) -> list[str]:
    """All that would make two hosts of this image one, or tell of who made it. None: it is neutral."""
    problems = [
        f"{what}: /{path.relative_to(root)}"
        for what, globs in REMOVED.items()
        for pattern in globs
        for path in _found(root, pattern)
        if path != root / "etc/resolv.conf"
    ]
    if (found := _text(root / "etc/machine-id").strip()) != "uninitialized":
        problems.append(f"/etc/machine-id is {found or 'empty'!r}, not `uninitialized`")
    if (found := _text(root / "etc/hostname").strip()) != HOSTNAME:
        problems.append(f"/etc/hostname is {found!r}, not {HOSTNAME!r}")
    shadow = dict(line.split(":")[:2] for line in _text(root / "etc/shadow").splitlines())
    problems += [f"/etc/shadow has a password for {user}" for user, word in shadow.items() if word[:1] not in "*!"]
    for path in _files(root):
        content = path.read_bytes()
        if _KEY.search(content):
            problems.append(f"a private key: /{path.relative_to(root)}")
        if path.is_relative_to(root / "etc") and _BY_ADDRESS.search(content):
            problems.append(f"network by hardware address: /{path.relative_to(root)}")
    return problems


def _found(root: Path, pattern: str) -> list[Path]:
    """What matches, dangling links too; nothing that is reached over a link."""
    found = [root]
    for part in pattern.split("/"):
        if part == "**":
            return [path for folder in found for path in _below(folder)]
        folders = (path for path in found if path.is_dir() and not path.is_symlink())
        found = [path for folder in folders for path in sorted(folder.iterdir()) if fnmatch(path.name, part)]
    return found


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else ():
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)
        else:
            yield path


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for inner in path.iterdir():
        _remove(inner)
    path.rmdir()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise OutsideWorld(f"{path} cannot be read ({error.strerror}): is that a root file system?") from error


def _files(root: Path) -> Iterator[Path]:
    folders = [root / name for name in _LOOKED_INTO]
    while folders:
        folder = folders.pop()
        if folder.name in _NOT_LOOKED_INTO or not folder.is_dir() or folder.is_symlink():
            continue
        for path in sorted(folder.iterdir()):
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)
            elif stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST:
                yield path
