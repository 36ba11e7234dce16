"""Livefleet's own wheel for hosts: built from a checkout, or made again from the files of an installed wheel.

Hosts get the package and no copy of the operator's side. A wheel is named by what it installs, so that a checkout and
an installation with the same content make the same release.
"""

import base64
import csv
import hashlib
import importlib.metadata
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path, PurePosixPath
from typing import Protocol

from livefleet.kernel import BadInput, OutsideWorld

__all__ = ["Checkout", "Installed", "WheelSource", "content_digest", "digest_of_tree", "run_tool", "wheel_source"]

_EPOCH = "1577836800"  # zip cannot tell times before 1980; any fixed time serves
_EPOCH_IN_ZIP = (2020, 1, 1, 0, 0, 0)
_OPERATORS_SIDE = "livefleet/_fleet/"
_KEPT_METADATA = ("METADATA", "WHEEL", "entry_points.txt", "top_level.txt")


class WheelSource(Protocol):
    """Where livefleet's own wheel comes from."""

    def lock(self) -> str:
        """The text of the lock that belongs to it."""
        ...

    def state(self) -> str:
        """A word that changes whenever the wheel might."""
        ...

    def write(self, folder: Path) -> None:
        """Put the wheel into this folder. Raises OutsideWorld or BadInput."""
        ...


def wheel_source(folder: Path) -> WheelSource:
    """By the folder that holds `deploys/`: a checkout also has the package's source, an installation's copy has not."""
    if (folder / "pyproject.toml").is_file() and (folder / "agent/livefleet").is_dir():
        return Checkout(folder)
    return Installed(folder)


@dataclass(frozen=True, slots=True)
class Checkout:
    """The sources; built by setuptools."""

    folder: Path

    def lock(self) -> str:
        """Of the checkout."""
        return _lock_in(self.folder)

    def state(self) -> str:
        """Over the sources."""
        return digest_of_tree(self.folder / "agent/livefleet", self.folder / "pyproject.toml")

    def write(self, folder: Path) -> None:
        """Build, from a copy: setuptools leaves build folders beside what it builds, and takes old ones into wheels."""
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            source = Path(scratch) / "source"
            shutil.copytree(
                self.folder / "agent", source / "agent", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
            shutil.copy(self.folder / "pyproject.toml", source)
            (source / "README.md").write_text("See the checkout.\n")
            command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
            run_tool([*command, "--wheel-dir", str(folder), str(source)], "building livefleet's wheel")


@dataclass(frozen=True, slots=True)
class Installed:
    """The files of the installed package, as its RECORD lists them. `folder`: its copy of the operator's side."""

    folder: Path

    def lock(self) -> str:
        """The lock that travelled in the wheel."""
        return _lock_in(self.folder)

    def state(self) -> str:
        """Over the files."""
        parts = [f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in self._files()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def write(self, folder: Path) -> None:
        """Pack them, with a RECORD of their own."""
        distribution = self._distribution()
        folder.mkdir(parents=True, exist_ok=True)
        records: list[tuple[str, str, str]] = []
        info = f"livefleet-{distribution.version}.dist-info"
        with zipfile.ZipFile(folder / f"livefleet-{distribution.version}-py3-none-any.whl", "w") as wheel:
            for name, path in self._files():
                content = path.read_bytes()
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                records.append((name, f"sha256={digest}", str(len(content))))
                _add(wheel, name, content)
            _add(wheel, f"{info}/RECORD", _record([*records, (f"{info}/RECORD", "", "")]))

    def _distribution(self) -> importlib.metadata.Distribution:
        package = self.folder.parent
        found = importlib.metadata.distributions(name="livefleet", path=[str(package.parent)])
        try:
            return next(iter(found))
        except StopIteration:
            raise BadInput(
                f"{package} is no checkout and no installed livefleet; reinstall it: `pip install livefleet`"
            ) from None

    def _files(self) -> Iterator[tuple[str, Path]]:
        """Name in the wheel and place on disk, sorted by name."""
        distribution = self._distribution()
        record = distribution.read_text("RECORD")  # `distribution.files` leaves out what is gone
        if not record:
            raise BadInput(f"livefleet in {self.folder.parent} has no RECORD of its files; install it by pip or uv")
        for name in sorted(row[0] for row in csv.reader(record.splitlines()) if row):
            if not _goes_to_hosts(PurePosixPath(name)):
                continue
            path = Path(str(distribution.locate_file(name)))
            if not path.is_file():
                raise BadInput(f"the installation of livefleet lacks {path}; reinstall it: `pip install livefleet`")
            yield name, path


def _lock_in(folder: Path) -> str:
    path = folder / "requirements.lock"
    try:
        return path.read_text()
    except OSError as error:
        raise BadInput(
            f"cannot read {path} ({error.strerror}): a whole checkout or an installation is needed"
        ) from error


def _goes_to_hosts(file: PurePosixPath) -> bool:
    name = str(file)
    if file.suffix == ".pyc" or name.startswith(_OPERATORS_SIDE):
        return False
    return name.startswith("livefleet/") or (
        len(file.parts) == 2 and file.parts[0].endswith(".dist-info") and file.name in _KEPT_METADATA
    )


def content_digest(wheel: Path) -> str:
    """A digest of what the wheel installs: files, requirements, commands. Words about the project do not count."""
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(archive.namelist())
        parts = [f"{n}\0{hashlib.sha256(archive.read(n)).hexdigest()}" for n in names if n.startswith("livefleet/")]
        for name in names:
            if name.endswith(".dist-info/METADATA"):
                told = Parser().parsestr(archive.read(name).decode(), headersonly=True)
                parts += [told["Version"], told["Requires-Python"] or "", *(told.get_all("Requires-Dist") or ())]
            if name.endswith(".dist-info/entry_points.txt"):
                parts.append(archive.read(name).decode().strip())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def digest_of_tree(*roots: Path) -> str:
    """A digest of files by relative path and content; caches and times do not count."""
    total = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(root.parent)}\0".encode())
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def run_tool(command: list[str], doing: str) -> None:
    """A packaging tool. Raises OutsideWorld with its last words."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1200, env=environment, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise OutsideWorld(f"{doing} failed:\n{done.stderr.strip()[-2000:]}")


def _add(wheel: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH_IN_ZIP)
    entry.external_attr = 0o644 << 16
    wheel.writestr(entry, content, zipfile.ZIP_DEFLATED)


def _record(rows: list[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
