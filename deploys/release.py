"""What is installed on hosts: livefleet's wheel, the wheels that it needs, and the installer. Built once, then cached.

A release is named by its content, so that the same sources and the same locked packages give the same name on every
machine, and a host that has it needs nothing.
"""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

import uv
from packaging.specifiers import SpecifierSet

from deploys.closure import closure, read_lock, requirements_of, wheels_by_name
from deploys.drivers import CPU, TorchBuild
from deploys.models import Platform, Release, Wheel
from deploys.own_wheel import content_digest, run_tool, wheel_source
from deploys.parcel import Parcel, index_of, pack
from deploys.wheels import read_wheel
from livefleet import __version__
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.spec import ReleaseSettings

__all__ = ["Platform", "Release", "ReleaseShop"]

_MANYLINUX = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")


class ReleaseShop:
    """Makes releases from a checkout or an installation. Safe to call from several threads or greenlets.

    `folder` holds `deploys/`.
    """

    def __init__(self, folder: Path, cache: Path, own: Platform) -> None:
        self._source = wheel_source(folder)
        self._cache = cache
        self._own = own
        self._lock = threading.RLock()
        self._made: dict[tuple[frozenset[str], Platform, str], Release] = {}
        self._looked_into: dict[Path, Wheel] = {}

    def release(
        self,
        extras: frozenset[str],
        target: Platform,
        torch: TorchBuild = CPU,
        torch_index: str = ReleaseSettings().torch_index_url,
    ) -> Release:
        """The release with these extras for a host of that kind. Raises BadInput or OutsideWorld with what to do.

        `torch`: the build of PyTorch, where the extra `ai` is among them; found under `torch_index` if it is not here.
        """
        with self._lock:
            key = (extras, target, torch.label)
            if key not in self._made:
                self._made[key] = self._make(extras, target, torch, index_of(torch_index, torch))
            return self._made[key]

    def parcel(self, release: Release, settings: ReleaseSettings, torch: TorchBuild | None = None) -> Parcel:
        """How it comes to a host with these settings. Every wheel is read once, for its hash."""
        with self._lock:
            own, *wheels = (self._look_into(path) for path in (release.wheel, *release.wheels))
        return pack(release, own, tuple(wheels), settings, torch)

    def bundle(self, parcel: Parcel) -> Path:
        """One tar of the installer and the wheels that travel, made when first asked for."""
        path = self._cache / "bundles" / f"{parcel.digest}.tar"
        with self._lock:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                wheels = {f"wheels/{wheel.path.name}": wheel.path for wheel in parcel.sent}
                _write_tar(path, {**wheels, "uv.gz": parcel.release.installer})
        return path

    def _look_into(self, path: Path) -> Wheel:
        if path not in self._looked_into:
            self._looked_into[path] = read_wheel(path)
        return self._looked_into[path]

    def _make(self, extras: frozenset[str], target: Platform, torch: TorchBuild, torch_index: str) -> Release:
        lock = read_lock(self._source.lock())
        wheel = self._own_wheel()
        if "torch" in lock:
            lock["torch"] = f"{lock['torch']}+{torch.label}"
        wheels = self._closure(wheel, extras, lock, target, torch_index)
        installer, installer_version = self._installer(lock, target)
        return Release(
            version=__version__,
            digest=_digest([content_digest(wheel), *(w.name for w in wheels)]),
            wheel=wheel,
            wheels=wheels,
            installer=installer,
            installer_version=f"{installer_version} {target.machine}",
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
        self, wheel: Path, extras: frozenset[str], lock: Mapping[str, str], target: Platform, torch_index: str
    ) -> tuple[Path, ...]:
        folder = self._wheel_folder(target)
        roots = requirements_of(wheel)
        pinned: Mapping[str, SpecifierSet] = {}
        fetched: set[str] = set()
        while True:
            reached = closure(roots, extras, wheels_by_name(folder, lock, pinned), target.python)
            missing = set(reached.missing)
            if not missing:
                return reached.wheels
            if reached.pinned != pinned:
                pinned = reached.pinned
                continue
            unknown = sorted(name for name in missing if name not in lock and name not in reached.pinned)
            if unknown:
                raise BadInput(
                    f"requirements.lock lacks {', '.join(unknown)}; in a checkout write it anew with `./run lock`"
                )
            if fetched & missing:
                names = ", ".join(sorted(fetched & missing))
                raise OutsideWorld(f"the package index gave other versions than the lock of {names}")
            # PyTorch's own index has its builds, and what these pin: CUDA's libraries.
            of_torch = {name for name in missing if name not in lock} | (missing & {"torch"})
            self._fetch([f"{name}=={lock[name]}" for name in sorted(missing - of_torch)], folder, target)
            pins = [f"{n}=={lock[n]}" if n in lock else f"{n}{reached.pinned[n]}" for n in sorted(of_torch)]
            self._fetch(pins, folder, target, torch_index)
            fetched |= missing

    def _wheel_folder(self, target: Platform) -> Path:
        own = target == self._own
        folder = self._cache / "wheels" if own else self._cache / f"wheels-{target.python}-{target.machine}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _fetch(self, pins: list[str], folder: Path, target: Platform, also: str | None = None) -> None:
        """Wheels into the folder; `also`: one more index. A package that has none is built, for this machine alone."""
        if not pins:
            return
        pip = [sys.executable, "-m", "pip"]
        from_where = [] if also is None else [f"--extra-index-url={also}"]
        if target == self._own:
            run_tool(
                [*pip, "wheel", "--quiet", "--no-deps", *from_where, "--wheel-dir", str(folder), *pins],
                f"fetching {', '.join(pins)}",
            )
            return
        platforms = [f"--platform={tag}_{target.machine}" for tag in _MANYLINUX]
        run_tool(
            [
                *[*pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "--implementation=cp", *from_where],
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
