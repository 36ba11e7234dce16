"""Where a token, or a pool worker's answers, are brought from: credentials, SMBIOS, sticks, files."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pydantic import ValidationError

from livefleet.enrol.smbios import oem_strings
from livefleet.kernel import BadInput
from livefleet.spec.enrol import SEED_FILE, Seed, SeedPlaces, parse_seed

__all__ = ["FoundSeed", "SeedSources", "Volumes"]

_CREDENTIAL: Final = "livefleet.token"
_SYSTEM_CREDENTIALS: Final = ("run/credentials/@system", "run/host/credentials")  # a machine's; a container's
_MOST: Final = 16 << 10  # bytes of a seed file


class Volumes(Protocol):
    """Sticks and other volumes, found by their label."""

    def read(self, label: str, name: str, most: int) -> bytes | None:
        """The first `most` bytes of the file on that volume; None: no such volume or file. Raises BadInput."""


@dataclass(frozen=True, slots=True)
class FoundSeed:
    """All that was brought, and what of it could not be read."""

    seed: Seed
    sources: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class SeedSources:
    """Looks at each place anew every time: a stick may be put in while the host waits."""

    def __init__(self, places: SeedPlaces, root: Path, volumes: Volumes, environ: Mapping[str, str]) -> None:
        self._places = places
        self._root = root
        self._volumes = volumes
        self._environ = environ

    def look(self) -> FoundSeed:
        """What the places say together; the first that says something wins. Never raises for what lies there."""
        seed, sources, problems = Seed(), [], []
        for source, read in self._sources():
            try:
                found = read()
            except BadInput as error:
                problems.append(str(error))
                continue
            if found is not None and found != Seed():
                seed = seed.over(found)
                sources.append(source)
        return FoundSeed(seed, tuple(sources), tuple(problems))

    def _sources(self) -> Iterator[tuple[str, "_Read"]]:
        if self._places.credential:
            if folder := self._environ.get("CREDENTIALS_DIRECTORY"):
                yield "the unit's credential", _TokenFile(Path(folder) / _CREDENTIAL)
            for folder in _SYSTEM_CREDENTIALS:
                yield "the system's credential", _TokenFile(self._root / folder / _CREDENTIAL)
            yield "SMBIOS", _Smbios(self._root)
        for label in self._places.labels:
            yield f"the volume {label}", _OnVolume(self._volumes, label)
        for file in self._places.files:
            yield file, _SeedFile(self._root / file.lstrip("/"), file)


class _Read(Protocol):
    def __call__(self) -> Seed | None: ...


@dataclass(frozen=True, slots=True)
class _TokenFile:
    path: Path

    def __call__(self) -> Seed | None:
        content = _content(self.path, str(self.path))
        return None if content is None else _token(content, str(self.path))


@dataclass(frozen=True, slots=True)
class _Smbios:
    root: Path

    def __call__(self) -> Seed | None:
        for text in oem_strings(self.root):
            name, _, value = text.partition("=")
            if name.removeprefix("io.systemd.credential:") == _CREDENTIAL:
                return _token(value.encode(), "SMBIOS")
        return None


@dataclass(frozen=True, slots=True)
class _OnVolume:
    volumes: Volumes
    label: str

    def __call__(self) -> Seed | None:
        content = self.volumes.read(self.label, SEED_FILE, _MOST + 1)
        return None if content is None else _seed(content, f"{self.label}/{SEED_FILE}")


@dataclass(frozen=True, slots=True)
class _SeedFile:
    path: Path
    shown: str

    def __call__(self) -> Seed | None:
        content = _content(self.path, self.shown)
        return None if content is None else _seed(content, self.shown)


def _content(path: Path, shown: str) -> bytes | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe of that name does not hold us
        with os.fdopen(handle, "rb") as file:
            return file.read(_MOST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BadInput(f"{shown}: cannot be read: {error.strerror}") from error


def _token(content: bytes, shown: str) -> Seed:
    try:
        return Seed(token=content.decode().strip())
    except (UnicodeDecodeError, ValidationError) as error:
        raise BadInput(f"{shown}: is no token of `livefleet enrol token new`") from error


def _seed(content: bytes, shown: str) -> Seed:
    if len(content) > _MOST:
        raise BadInput(f"{shown}: has more than {_MOST} bytes; `livefleet enrol usb` writes one of some hundred")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{shown}: is not UTF-8 text") from error
    return parse_seed(text, shown)
