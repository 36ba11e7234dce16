"""A small file of requests in a node's state folder: who may write there may ask. Replaced whole, durably."""

import contextlib
import os
from pathlib import Path

from livefleet.kernel import BadInput

__all__ = ["save_state_file"]


def save_state_file(path: Path, text: str | None) -> None:
    """Put `text` in place of what is there, readable by the folder's owner alone; None: take the file away.

    Raises BadInput where this user may not.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if text is None:
            path.unlink(missing_ok=True)
        else:
            _write(new, text, path.parent)
            new.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}; run this as the agent's user or root") from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


def _write(path: Path, text: str, folder: Path) -> None:
    path.unlink(missing_ok=True)  # of a writer with the same process id that was cut off
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "w") as file:
        owner = folder.stat()
        if os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)  # root asks, the agent has to be able to read
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
