"""Files and folders of a host that is made ready: on disk before the next step, and told in this room's errors."""

from pathlib import Path

from livefleet.kernel import OutsideWorld, durable_file
from livefleet.kernel.durable_file import Owner

__all__ = ["Owner", "make_folder", "write_durably"]


def write_durably(path: Path, content: bytes, *, mode: int = 0o600, owner: Owner | None = None) -> None:
    """On disk under its name when this returns; before that the old file is. Raises OutsideWorld."""
    try:
        durable_file.write_durably(path, content, mode=mode, owner=owner)
    except OSError as error:
        raise OutsideWorld(f"{path}: cannot be written: {error.strerror}") from error


def make_folder(path: Path, *, owner: Owner | None = None) -> None:
    """The folder and those above it, durable. New ones are closed to others and belong to `owner`."""
    try:
        durable_file.make_folder(path, owner=owner)
    except OSError as error:
        raise OutsideWorld(f"{path}: cannot be made: {error.strerror}") from error
