"""What is installed on hosts, as values: a release, the machines that it fits, the wheels that it is made of."""

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import parse_wheel_filename

__all__ = ["Platform", "Release", "Wheel"]


@dataclass(frozen=True, slots=True)
class Platform:
    """What a host's wheels must fit."""

    python: str  # `3.11`
    machine: str  # `x86_64`

    @classmethod
    def own(cls) -> "Platform":
        """This machine and this Python."""
        return cls(python=f"{sys.version_info.major}.{sys.version_info.minor}", machine=platform.machine())


@dataclass(frozen=True, slots=True)
class Release:
    """One installable set, named by content."""

    version: str
    digest: str  # of what livefleet's wheel installs, and the names of all wheels
    wheel: Path  # livefleet's own
    wheels: tuple[Path, ...]  # what it needs
    installer: Path  # uv's binary for the host's machine
    installer_version: str

    @property
    def id(self) -> str:
        """Its folder's name on hosts."""
        return f"{self.version}-{self.digest}"


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel."""

    path: Path
    name: str  # canonical
    version: str  # with its local part
    sha256: str
    size: int  # bytes
    unpacked: int  # bytes on disk
    bytecode: int  # bytes on disk, if it is compiled

    @property
    def pinned(self) -> str:
        """The line of a requirements file that takes exactly these bytes, from wherever they are found."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"

    def pinned_at(self, path: str) -> str:
        """The same, from a file."""
        return f"{path} --hash=sha256:{self.sha256}"

    @property
    def is_built_here(self) -> bool:
        """Whether it fits this very system alone, so that no index can have it."""
        _, _, _, tags = parse_wheel_filename(self.path.name)
        return all(tag.platform.startswith("linux_") for tag in tags)
