"""Secrets that an import has met: their names, where they are, and, for those in plain text, what they are."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from livefleet.control.importer.process import Place, PlaceKind, Process
from livefleet.control.importer.settings import Said
from livefleet.control.importer.words import HoleKind, Word

__all__ = ["Reference", "SecretBook", "looks_like_a_path"]

_ECHO: Final = re.compile(r"(?:echo(?: -n)?|printf(?: '?%s'?)?) (.*)")
_SUFFIXES: Final = (".txt", ".secret", ".key", ".pass", ".password", ".pwd", ".json", ".pem")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret is, as the spec says it."""

    field: str  # `file`, `env`, `host_file` or `command`
    value: str | tuple[str, ...]
    is_plain: bool = False  # it stood in the source as text, and is to be written to `value`
    inside_container: bool = False  # somebody has to fetch it from there

    @property
    def spec(self) -> dict[str, Any]:
        """As the spec has it."""
        return {self.field: list(self.value) if isinstance(self.value, tuple) else self.value}


@dataclass(slots=True)
class SecretBook:
    """Names by text, so that what several processes share has one name."""

    folder: str  # where `file:` references point, as the fleet file says it
    base: Path = Path()  # the fleet file's own folder
    plain: dict[str, str] = field(default_factory=dict, repr=False)  # text by file name
    references: dict[str, Reference] = field(default_factory=dict)  # of `secrets:`, by name

    def name(self, wanted: str, reference: Reference) -> str:
        """The name under `secrets` for a reference: an earlier one where it is the same."""
        for name, known in self.references.items():
            if known == reference:
                return name
        name = _free(wanted, self.references)
        self.references[name] = reference
        return name

    def refer(self, wanted: str, said: Said, process: Process) -> Reference:
        """Where the secret of a flag that takes a text or a file's path is."""
        return self.refer_word(wanted, said.value, process)

    def refer_word(self, wanted: str, word: Word, process: Process) -> Reference:
        """The same for any word."""
        hole = word.hole
        if hole is not None:
            match hole.kind:
                case HoleKind.VARIABLE:
                    return Reference("env", hole.name)
                case HoleKind.FILE:
                    return self._of_place(wanted, process.place(hole.name))
                case HoleKind.COMMAND:
                    if (echoed := _ECHO.fullmatch(hole.name)) is not None:
                        return self.keep(wanted, echoed[1].strip("\"'"))
                    if _is_simple(hole.name):
                        return Reference("command", tuple(hole.name.split()))
                    return Reference("command", ("sh", "-c", hole.name))
        text = word.known
        if text is None:
            return Reference("file", f"{self.folder}/{wanted}", inside_container=False)
        place = process.place(text)
        if place.kind is PlaceKind.COMMAND or looks_like_a_path(text) or _is_there(place):
            return self._of_place(wanted, place)
        return self.keep(wanted, text)

    def keep(self, wanted: str, text: str) -> Reference:
        """A secret in plain text: it goes to a file of its own."""
        for name, known in self.plain.items():
            if known == text:
                return Reference("file", f"{self.folder}/{name}", is_plain=True)
        name = _free(wanted, self.plain)
        self.plain[name] = text
        return Reference("file", f"{self.folder}/{name}", is_plain=True)

    def seen_from_fleet(self, path: str) -> str:
        """A file of this machine as the fleet file is to say it: relative where it was."""
        return path if Path(path).is_absolute() else os.path.relpath(path, self.base)

    def _of_place(self, wanted: str, place: Place) -> Reference:
        match place.kind:
            case PlaceKind.HERE:
                return Reference("file", self.seen_from_fleet(place.path))
            case PlaceKind.HOST if not place.path.startswith("~"):
                return Reference("host_file", place.path)
            case PlaceKind.COMMAND:
                return Reference("command", place.command)
            case _:
                return Reference("file", f"{self.folder}/{wanted}", inside_container=True)


def looks_like_a_path(text: str) -> bool:
    """Whether a text that may be a secret or a file's path is most likely a path."""
    return "\n" not in text and (text.startswith(("/", "./", "../", "~/")) or text.lower().endswith(_SUFFIXES))


def _is_there(place: Place) -> bool:
    try:
        return place.kind is PlaceKind.HERE and Path(place.path).is_file()
    except (OSError, ValueError):
        return False


def _is_simple(command: str) -> bool:
    return not set(command) & set("\"'\\$`|&;<>(){}*?~#")


def _free(wanted: str, taken: dict[str, Any]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    return name
