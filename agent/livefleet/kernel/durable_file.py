"""Small files that are there whole or not at all, also after a power cut, under names that last.

What is written lies beside its place first (`.NAME.*.new`, with the mode of the file to be) and is on disk before it
takes the name; the folder is on disk before a function returns. So a reader, a process that is killed and a machine
that loses its power find the old content or the new. A try that was cut off can leave the file beside it.

Every function raises OSError whose `filename` is the path that was asked for.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Owner", "make_folder", "sync_folder", "write_durably", "write_new"]

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})  # link(2) on FAT and on some network filesystems


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom files are given to; only root may give."""

    uid: int
    gid: int


def write_durably(path: Path, content: bytes, *, mode: int | None = 0o600, owner: Owner | None = None) -> None:
    """Put `content` in place of what is there.

    `mode` holds whatever the umask is, from the first byte on; None: what the umask leaves of 0666. A link at `path` is
    replaced, not followed.
    """
    with _naming(path), _beside(path, content, mode, owner) as new:
        new.replace(path)
        sync_folder(path.parent)


def write_new(path: Path, content: bytes, *, mode: int | None = 0o600) -> None:
    """Put `content` where nothing is. Raises FileExistsError where something is, which stays as it is.

    Where the filesystem knows no hard links, a power cut can leave an empty file.
    """
    with _naming(path), _beside(path, content, mode, None) as new:
        try:
            os.link(new, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))  # the name is ours
            new.replace(path)
        sync_folder(path.parent)


def make_folder(path: Path, *, owner: Owner | None = None) -> None:
    """The folder and those above it. New ones are closed to others (0700) and belong to `owner`."""
    with _naming(path):
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
            if owner is not None:
                os.chown(folder, owner.uid, owner.gid)
            sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Have on disk which names the folder holds; a name that was removed is gone for good."""
    with _naming(path):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _beside(path: Path, content: bytes, mode: int | None, owner: Owner | None) -> Iterator[Path]:
    """A file with that content beside `path`, on disk; it is gone when the block ends."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")  # two writers at once do not share one
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(new, flags, 0o666 if mode is None else mode)
        with os.fdopen(handle, "wb") as file:
            if owner is not None:
                os.fchown(handle, owner.uid, owner.gid)
            if mode is not None and mode & ~stat.S_IMODE(os.fstat(handle).st_mode):
                os.fchmod(handle, mode)  # the umask took something of it
            file.write(content)
            file.flush()
            os.fsync(handle)
        yield new
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors name `path`, not what lies beside it."""
    try:
        yield
    except OSError as error:
        if error.filename == str(path):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
