"""The tree that every test host starts from, and the packages that a deploy may install on it: built once, then cached.

A fresh machine builds (about half a minute, longer on a slow mirror); the cache is keyed by everything that went in.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import repository, sources
from tests.lab.shell import run

__all__ = ["SUITE", "Base", "base", "only_one", "store"]

SUITE = "bookworm"
PACKAGES = (
    "apt",
    "ca-certificates",
    "dbus",
    "iproute2",
    "iputils-ping",
    "kmod",
    "libpam-systemd",
    "netbase",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-sysv",
)
INSTALLABLE = (
    "acl",
    "curl",
    "nftables",
    "nginx",
    "nginx-light",
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
    "python3-pip",
    "python3-venv",
    "rsync",
)
"""What hosts can install from the lab's repository, with all that it needs; the base has none of it."""

MASKED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dev-hugepages.mount",
    "e2scrub_all.timer",
    "getty.target",
    "modprobe@.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-modules-load.service",
    "systemd-remount-fs.service",
    "systemd-timesyncd.service",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
)
SSHD_SETTINGS = "MaxStartups 200\nMaxSessions 200\nUseDNS no\n"
PREPARATION = rf"""
set -eu
root="$1"
chroot "$root" useradd --create-home --shell /bin/bash --password '*' deploy
printf 'deploy ALL=(ALL) NOPASSWD: ALL\n' > "$root/etc/sudoers.d/deploy"
chmod 0440 "$root/etc/sudoers.d/deploy"
printf %s {shlex.quote(SSHD_SETTINGS)} > "$root/etc/ssh/sshd_config.d/lab.conf"
for unit in {" ".join(MASKED_UNITS)}; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/apt/sources.list.d/*
: > "$root/etc/machine-id"
: > "$root/etc/resolv.conf"
: > "$root/etc/apt/sources.list"
"""
COLLECTION = """
set -eu
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
apt-get --yes --quiet --download-only -o Dir::Cache::archives="$LAB_DEBS" install $LAB_INSTALLABLE
"""


@dataclass(frozen=True, slots=True)
class Base:
    """A finished base: never written to again."""

    root: Path  # the tree, lower layer of every host
    debs: Path  # the apt repository


def base(tell: Callable[[str], None] = lambda _: None) -> Base:
    """Return the cached base, building it first when there is none; one process builds, others wait for it.

    `tell` gets a line before anything that takes long.
    """
    finished = store() / _key()
    with only_one(store() / "lock"):
        if not finished.exists():
            tell(f"building the {SUITE} base in {finished} (about half a minute, longer on a slow mirror)")
            _build(finished)
    return Base(finished / "root", finished / "debs")


def store() -> Path:
    """The folder of all that is built once."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livefleet" / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _key() -> str:
    recipe = "\0".join([SUITE, *PACKAGES, "", *INSTALLABLE, PREPARATION, COLLECTION])
    return f"{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def _build(finished: Path) -> None:
    partial = finished.with_name(f"{finished.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    debs = partial / "debs"
    (debs / "partial").mkdir(parents=True)  # apt downloads into it
    settings = partial / "settings.conf"
    settings.write_text(sources.download_settings())
    for name, script in {"prepare": PREPARATION, "collect": COLLECTION}.items():
        (partial / name).write_text(f"#!/bin/sh\n{script}")
        (partial / name).chmod(0o755)
    mirrors = partial / "mirrors.sources"
    mirrors.write_text(sources.sources_of(SUITE))
    run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            f"--aptopt={settings}",
            f"--customize-hook={partial / 'collect'}",
            f"--customize-hook={partial / 'prepare'}",
            SUITE,
            str(partial / "root"),
            *([str(mirrors)] if mirrors.read_text() else []),
        ],
        timeout_s=900,
        env={**os.environ, "LAB_DEBS": str(debs), "LAB_INSTALLABLE": " ".join(INSTALLABLE)},
    )
    repository.index(debs)
    partial.rename(finished)


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold a lock: others that want it wait."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
