"""A small file of requests in a node's state folder: who may write there may ask. Replaced whole, durably."""

import os
from pathlib import Path

from livefleet.kernel import BadInput
from livefleet.kernel.durable_file import Owner, sync_folder, write_durably

__all__ = ["save_state_file"]


def save_state_file(path: Path, text: str | None) -> None:
    """Put `text` in place of what is there, readable by the folder's owner alone; None: take the file away.

    Raises BadInput where this user may not.
    """
    try:
        if text is None:
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
        else:
            write_durably(path, text.encode(), owner=_owner_of(path.parent))
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}; run this as the agent's user or root") from error


def _owner_of(folder: Path) -> Owner | None:
    if os.geteuid() != 0:
        return None
    seen = folder.stat()
    return Owner(seen.st_uid, seen.st_gid)  # root asks, the agent has to be able to read
