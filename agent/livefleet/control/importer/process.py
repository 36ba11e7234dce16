"""One node program as somebody starts it: what its command line, environment and container say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath

from livefleet.control.importer.findings import Finding, Spot
from livefleet.control.importer.words import Word

__all__ = ["Container", "Mount", "Place", "PlaceKind", "Port", "Process"]


class PlaceKind(StrEnum):
    """Who has a file."""

    HERE = "here"  # on the machine that the import runs on, relative to the working folder
    HOST = "host"  # on the machine that the node runs on
    COMMAND = "command"  # printed by a command here
    CONTAINER = "container"  # nobody outside of the container


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file of a process is, seen from outside."""

    kind: PlaceKind
    path: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """A path of the container that is another one outside."""

    inside: str
    outside: str  # empty: a volume that only the container's program manages
    kind: PlaceKind = PlaceKind.HOST
    command: tuple[str, ...] = ()  # prints the content, where `kind` says so


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the container that the machine passes on."""

    inside: str
    outside: str
    address: str  # of the machine; empty: every one
    spot: Spot

    @property
    def is_open(self) -> bool:
        """Whether others than this machine reach it."""
        return not self.address.strip("[]").startswith(("127.", "::1", "localhost"))


@dataclass(frozen=True, slots=True)
class Container:
    """What surrounds the program."""

    image: str = ""
    image_spot: Spot | None = None
    host_network: bool = False
    ports: tuple[Port, ...] = ()
    gpus: tuple[str, ...] = ()  # UUIDs that it is given
    all_gpus: bool = False


@dataclass(frozen=True, slots=True)
class Process:
    """One go-livepeer as it is started."""

    name: str
    machine: str  # the same text: on one machine
    spot: Spot
    kind: str  # of the source: `systemd`, `compose`, ...
    arguments: tuple[Word, ...] = ()
    environment: Mapping[str, Word] = field(default_factory=dict)
    config: Mapping[str, Word] | None = None  # of a config file that is a source by itself
    config_file: str = ""
    folder: Path = Path()  # where relative names of files begin
    mounts: tuple[Mount, ...] = ()
    container: Container | None = None
    names: frozenset[str] = frozenset()  # that others reach it by
    findings: tuple[Finding, ...] = ()  # what the source's reader has to say

    def place(self, path: str) -> Place:
        """Where a file is that the process names."""
        for mount in sorted(self.mounts, key=lambda mount: -len(mount.inside)):
            inside = mount.inside.rstrip("/")
            if path != inside and not path.startswith(inside + "/"):
                continue
            if mount.kind is PlaceKind.COMMAND:
                return Place(mount.kind, command=mount.command)
            rest = path[len(inside) :].lstrip("/")
            if not mount.outside:
                return Place(PlaceKind.CONTAINER, path)
            return Place(mount.kind, str(PurePosixPath(mount.outside) / rest) if rest else mount.outside)
        if self.container is not None:
            return Place(PlaceKind.CONTAINER, path)
        if PurePosixPath(path).is_absolute() or path.startswith("~"):
            return Place(PlaceKind.HOST, path)
        return Place(PlaceKind.HERE, str(self.folder / path))
