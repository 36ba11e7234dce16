"""What is installed on hosts: livefleet's wheel, the wheels that it needs, and the installer. Built once, then cached.

A release is named by its content, so that the same sources and the same locked packages give the same name on every
machine, and a host that has it needs nothing.
"""

import gzip
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uv

from deploys.closure import closure, read_lock, requirements_of, wheels_by_name
from deploys.own_wheel import content_digest, run_tool, wheel_source
from livefleet import __version__
from livefleet.kernel import BadInput, OutsideWorld

__all__ = ["Platform", "Release", "ReleaseShop"]

_MANYLINUX = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")


@dataclass(frozen=True, slots=True)
class Platform:
    """What a host's wheels must fit."""

    python: str  # `3.11`
    machine: str  # `x86_64`

    @classmethod
    def own(cls) -> "Platform":
        """This machine and this Python."""
        return cls(python=f"{sys.version_info.major}.{sys.version_info.minor}", machine=platform.machine())


@dataclass(frozen=True, slots=True)
class Release:
    """One installable set, named by content."""

    version: str
    digest: str  # of what livefleet's wheel installs, and the names of all wheels
    wheel: Path  # livefleet's own
    wheels: tuple[Path, ...]  # what it needs
    installer: Path  # uv's binary for the host's machine
    bundle_digest: str  # of the names of `wheels` and the installer's version

    @property
    def id(self) -> str:
        """Its folder's name on hosts."""
        return f"{self.version}-{self.digest}"


class ReleaseShop:
    """Makes releases from a checkout or an installation. Safe to call from several threads or greenlets.

    `folder` holds `deploys/`.
    """

    def __init__(self, folder: Path, cache: Path, own: Platform) -> None:
        self._source = wheel_source(folder)
        self._cache = cache
        self._own = own
        self._lock = threading.RLock()
        self._made: dict[tuple[frozenset[str], Platform], Release] = {}

    def release(self, extras: frozenset[str], target: Platform) -> Release:
        """The release with these extras for a host of that kind. Raises BadInput or OutsideWorld with what to do."""
        with self._lock:
            key = (extras, target)
            if key not in self._made:
                self._made[key] = self._make(extras, target)
            return self._made[key]

    def bundle(self, release: Release) -> Path:
        """One tar of the needed wheels and the installer, made when first asked for."""
        path = self._cache / "bundles" / f"{release.bundle_digest}.tar"
        with self._lock:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_tar(path, {**{f"wheels/{w.name}": w for w in release.wheels}, "uv.gz": release.installer})
        return path

    def _make(self, extras: frozenset[str], target: Platform) -> Release:
        lock = read_lock(self._source.lock())
        wheel = self._own_wheel()
        wheels = self._closure(wheel, extras, lock, target)
        installer, installer_version = self._installer(lock, target)
        names = [w.name for w in wheels]
        return Release(
            version=__version__,
            digest=_digest([content_digest(wheel), *names]),
            wheel=wheel,
            wheels=wheels,
            installer=installer,
            bundle_digest=_digest([installer_version, target.machine, *names]),
        )

    def _own_wheel(self) -> Path:
        folder = self._cache / "own" / self._source.state()
        ready = list(folder.glob("*.whl"))
        if ready:
            return ready[0]
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            self._source.write(Path(scratch) / "out")
            _rename_folder(Path(scratch) / "out", folder)
        return next(folder.glob("*.whl"))

    def _closure(
        self, wheel: Path, extras: frozenset[str], lock: Mapping[str, str], target: Platform
    ) -> tuple[Path, ...]:
        folder = self._wheel_folder(target)
        roots = requirements_of(wheel)
        fetched: set[str] = set()
        while True:
            reached = closure(roots, extras, wheels_by_name(folder, lock), target.python)
            if not reached.missing:
                return reached.wheels
            unlocked = [name for name in reached.missing if name not in lock]
            if unlocked:
                raise BadInput(
                    f"requirements.lock lacks {', '.join(unlocked)}; in a checkout write it anew with `./run lock`"
                )
            if fetched & set(reached.missing):
                raise OutsideWorld(
                    f"the package index gave other versions than the lock of {', '.join(reached.missing)}"
                )
            self._fetch([f"{name}=={lock[name]}" for name in reached.missing], folder, target)
            fetched |= set(reached.missing)

    def _wheel_folder(self, target: Platform) -> Path:
        own = target == self._own
        folder = self._cache / "wheels" if own else self._cache / f"wheels-{target.python}-{target.machine}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _fetch(self, pins: list[str], folder: Path, target: Platform) -> None:
        pip = [sys.executable, "-m", "pip"]
        if target == self._own:
            run_tool(
                [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), *pins],
                f"fetching {', '.join(pins)}",
            )
            return
        platforms = [f"--platform={tag}_{target.machine}" for tag in _MANYLINUX]
        run_tool(
            [
                *[*pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "--implementation=cp"],
                *[f"--python-version={target.python}", *platforms, "--dest", str(folder), *pins],
            ],
            f"fetching wheels for Python {target.python} on {target.machine}: {', '.join(pins)}",
        )

    def _installer(self, lock: Mapping[str, str], target: Platform) -> tuple[Path, str]:
        if target.machine == self._own.machine:
            binary = Path(uv.find_uv_bin())
            version = subprocess.run(
                [binary, "--version"], check=True, capture_output=True, text=True, timeout=60
            ).stdout
            return binary, version.split()[1]
        if "uv" not in lock:
            raise BadInput(f"a host with {target.machine} needs uv for it: add uv to requirements.lock (`./run lock`)")
        folder = self._wheel_folder(target)
        self._fetch([f"uv=={lock['uv']}"], folder, target)
        binary = folder / f"uv-{lock['uv']}"
        if not binary.exists():
            wheel = next(folder.glob(f"uv-{lock['uv']}-*.whl"))
            shutil.unpack_archive(wheel, folder / "uv-unpacked", "zip")
            next((folder / "uv-unpacked").rglob("scripts/uv")).replace(binary)
        return binary, lock["uv"]


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _rename_folder(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # else another run made the same thing at the same time
            raise


def _write_tar(path: Path, members: Mapping[str, Path]) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}")
    with tarfile.open(new, mode="w") as tar:
        for name, source in sorted(members.items()):
            content = source.read_bytes()
            if name.endswith(".gz"):
                content = gzip.compress(content, compresslevel=1, mtime=0)
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    new.replace(path)
