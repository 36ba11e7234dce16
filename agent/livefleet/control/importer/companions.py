"""Files that a source names: further sources given, or files beside it, read with a limit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Final

from livefleet.control.importer.process import PlaceKind, Process
from livefleet.spec import Problem, SpecError

__all__ = ["MAX_BYTES", "Companions", "Found", "decode", "read_source"]

MAX_BYTES: Final = 2**20
"""Of one file; a setup's files have a few kilobytes, `docker inspect` of a hundred containers less than this."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was read."""

    text: str = field(repr=False)
    shown: str
    path: Path | None = None


@dataclass(slots=True)
class Companions:
    """Files given as further sources, by name; and those beside the source that names them."""

    given: Mapping[str, str] = field(repr=False)  # shown name to text
    used: set[str] = field(default_factory=set)  # of the given ones

    def read(self, process: Process, path: str) -> Found | None:
        """A file that a process names; None where it is not to be had here."""
        name = PurePosixPath(path).name
        for shown, text in self.given.items():
            if PurePosixPath(shown).name == name:
                self.used.add(shown)
                return Found(text, shown, Path(shown))
        place = process.place(path)
        candidates = [Path(place.path)] if place.kind in (PlaceKind.HERE, PlaceKind.HOST) else []
        candidates.append(process.folder / name)
        return next((found for candidate in candidates if (found := self._read(candidate)) is not None), None)

    def beside(self, folder: Path, path: str) -> Found | None:
        """A file by a path that begins at a folder."""
        name = PurePosixPath(path).name
        for shown, text in self.given.items():
            if PurePosixPath(shown).name == name:
                self.used.add(shown)
                return Found(text, shown, Path(shown))
        return self._read(folder / Path(path).expanduser())

    def _read(self, path: Path) -> Found | None:
        try:
            stat = path.stat()
            if not S_ISREG(stat.st_mode) or stat.st_size > MAX_BYTES:
                return None
            return Found(decode(path.read_bytes(), str(path)), str(path), path)
        except (OSError, ValueError, RuntimeError):
            return None


def read_source(path: Path, shown: str) -> str:
    """A source's text. Raises SpecError where it cannot be read, is too large or is not text."""
    try:
        stat = path.stat()
        if path.is_dir():
            raise SpecError([Problem(shown, 1, 1, "is a folder", "name the files in it")])
        if stat.st_size > MAX_BYTES:
            raise SpecError([_too_large(shown, stat.st_size)])
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SpecError([Problem(shown, 1, 1, f"cannot be read: {why}")]) from error
    return decode(data, shown)


def decode(data: bytes, shown: str) -> str:
    """Bytes as text. Raises SpecError with the place of the first byte that is none."""
    if len(data) > MAX_BYTES:
        raise SpecError([_too_large(shown, len(data))])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise SpecError([Problem(shown, line, column, "is not UTF-8 text", "save the file as UTF-8")]) from error
    if "\0" in text:
        before_nul = text[: text.index("\0")]
        line = before_nul.count("\n") + 1
        raise SpecError([Problem(shown, line, 1, "is not text: it holds a NUL", "name a text file")])
    return text


def _too_large(shown: str, size: int) -> Problem:
    hint = f"at most {MAX_BYTES} bytes are read; give the part that starts the node"
    return Problem(shown, 1, 1, f"is too large: {size} bytes or more", hint)
