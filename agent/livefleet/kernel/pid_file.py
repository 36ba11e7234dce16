"""Which process is a node's agent, for who wants to wake it. A lock tells the truth where a number may be stale."""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["PID_FILE", "holder_of", "holding", "wake"]

PID_FILE = "agent.pid"


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Be the process that the file names while the block lasts. Where another is, it stays that one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield
            return
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def holder_of(path: Path) -> int | None:
    """The process that holds the file; None where none does, or the file cannot be read."""
    try:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or "0") or None
    except (OSError, ValueError):
        pass
    return None


def wake(path: Path) -> bool:
    """Have the process that holds the file look now, by SIGHUP; whether there is one.

    One that this user may not signal counts: it looks from time to time anyway.
    """
    pid = holder_of(path)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        pass
    except ProcessLookupError:
        return False
    return True
