"""Looks into wheels: their hashes, and how much room they take once they are installed."""

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from packaging.utils import parse_wheel_filename

from deploys.models import Wheel

__all__ = ["read_wheel"]

_BLOCK: Final = 4096  # bytes that the smallest file takes on ext4 and xfs
_BYTECODE: Final = 1.25  # bytes of bytecode a byte of source, a little more than measured over the lock's packages


def read_wheel(path: Path) -> Wheel:
    """Look into a wheel."""
    name, version, _, _ = parse_wheel_filename(path.name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with zipfile.ZipFile(path) as archive:
        files = [(entry.filename, entry.file_size) for entry in archive.infolist() if not entry.is_dir()]
    sources = [(file, size) for file, size in files if file.endswith(".py")]
    return Wheel(
        path=path,
        name=name,
        version=str(version),
        sha256=digest,
        size=path.stat().st_size,
        unpacked=sum(_on_disk(size) for _, size in files) + _BLOCK * _folders(file for file, _ in files),
        bytecode=sum(_on_disk(int(size * _BYTECODE)) for _, size in sources)
        + _BLOCK * _folders(file for file, _ in sources),  # each gets a __pycache__
    )


def _folders(files: Iterable[str]) -> int:
    return len({file.rpartition("/")[0] for file in files})


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
