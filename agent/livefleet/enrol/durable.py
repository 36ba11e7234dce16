"""Files that are there whole or not at all, also after a power cut, and belong to whom they should."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from livefleet.kernel import OutsideWorld

__all__ = ["Owner", "make_folder", "write_durably"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom files are given to: the agent's user. None of it where this process is not root."""

    uid: int
    gid: int


def write_durably(path: Path, content: bytes, *, mode: int = 0o600, owner: Owner | None = None) -> None:
    """On disk under its name when this returns; before that the old file is. Raises OutsideWorld."""
    new = path.with_name(f".{path.name}.new")
    try:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()  # of a try that was cut off, maybe somebody else's by now
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            if owner is not None:
                os.fchown(handle, owner.uid, owner.gid)
            os.fchmod(handle, mode)
            file.write(content)
            file.flush()
            os.fsync(handle)
        new.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OutsideWorld(f"{path}: cannot be written: {error.strerror}") from error


def make_folder(path: Path, *, owner: Owner | None = None) -> None:
    """The folder and those above it, durable. New ones are closed to others and belong to `owner`."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
            if owner is not None:
                os.chown(folder, owner.uid, owner.gid)
            _sync_folder(folder.parent)
    except OSError as error:
        raise OutsideWorld(f"{path}: cannot be made: {error.strerror}") from error


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
