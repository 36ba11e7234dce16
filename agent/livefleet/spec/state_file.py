"""A small file of requests in a node's state folder: who may write there may ask. Replaced whole, durably."""

import json
import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from livefleet.kernel import BadInput
from livefleet.kernel.durable_file import Owner, sync_folder, write_durably

__all__ = ["load_state_file", "save_state_file"]

_M = TypeVar("_M", bound=BaseModel)


def load_state_file(path: Path, kind: type[_M]) -> _M | None:
    """What stands there; None where nothing does. Raises BadInput where it is there and cannot be read."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path}: {f'{where}: ' if where else ''}{first['msg']}") from error


def save_state_file(path: Path, content: BaseModel | None) -> None:
    """Put `content` in place of what is there, readable by the folder's owner alone; None: take the file away.

    Raises BadInput where this user may not.
    """
    try:
        if content is None:
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
        else:
            text = json.dumps(content.model_dump(mode="json"), indent=1) + "\n"
            write_durably(path, text.encode(), owner=_owner_of(path.parent))
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}; run this as the agent's user or root") from error


def _owner_of(folder: Path) -> Owner | None:
    if os.geteuid() != 0:
        return None
    seen = folder.stat()
    return Owner(seen.st_uid, seen.st_gid)  # root asks, the agent has to be able to read
