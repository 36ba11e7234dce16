"""How a release comes to a host: what is sent, and where the host finds the rest. Every byte is known by its hash."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, assert_never

from deploys.drivers import TorchBuild
from deploys.models import Release, Wheel
from livefleet.spec import ReleaseSettings

__all__ = ["Parcel", "Room", "index_of", "pack"]

PYPI: Final = "https://pypi.org/simple"

_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that bringing a release takes at its highest."""

    releases: int  # where releases go
    temporary: int  # in /tmp, where uploads arrive before root takes them


@dataclass(frozen=True, slots=True)
class Parcel:
    """One release on its way to a host."""

    release: Release
    own: Wheel  # livefleet's, which always travels
    wheels: tuple[Wheel, ...]  # what it needs
    sent: tuple[Wheel, ...]  # those of them that travel
    flags: tuple[str, ...]  # of uv's: where it finds the others
    place: str  # for people

    @property
    def digest(self) -> str:
        """Of what travels besides livefleet's own wheel: its folder's name on hosts."""
        parts = [self.release.installer_version, *(f"{w.path.name}\0{w.sha256}" for w in self.sent)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    @property
    def told(self) -> str:
        """For people: how many packages, from where, and how large."""
        total = sum(wheel.size for wheel in self.wheels)
        unpacked = sum(wheel.unpacked for wheel in (*self.wheels, self.own))
        size = f"{total / _MIB:.0f} MiB {self.place}, {unpacked / _MIB:.0f} MiB unpacked"
        torch = next((f"; PyTorch {wheel.version}" for wheel in self.wheels if wheel.name == "torch"), "")
        return f"{len(self.wheels)} packages, {size}{torch}"

    def requirements(self, folder: str, own: str) -> tuple[str, ...]:
        """Lines of a requirements file: what was sent lies in `folder`, livefleet's wheel at `own`."""
        sent = {wheel.name for wheel in self.sent}
        lines = [w.pinned_at(f"{folder}/{w.path.name}") if w.name in sent else w.pinned for w in self.wheels]
        return (*lines, self.own.pinned_at(own))

    def requirements_here(self) -> tuple[str, ...]:
        """The same on the operator's own machine, where every wheel is at hand."""
        return tuple(wheel.pinned_at(str(wheel.path)) for wheel in (*self.wheels, self.own))

    def room(self, bundles: Sequence[str], *, local: bool, by_sudo: bool) -> Room:
        """What it takes on a host that has these bundles."""
        installed = sum(wheel.unpacked for wheel in (*self.wheels, self.own))
        if local:
            return Room(installed, 0)
        installed += sum(wheel.bytecode for wheel in (*self.wheels, self.own))
        upload = self.own.size
        if self.digest not in bundles:
            # First the archive, then what is in it, then the archive goes and the environment comes.
            upload += sum(wheel.size for wheel in self.sent) + self.release.installer.stat().st_size
        return Room(upload + max(upload, installed), upload if by_sudo else 0)


def pack(
    release: Release, own: Wheel, wheels: tuple[Wheel, ...], settings: ReleaseSettings, torch: TorchBuild | None
) -> Parcel:
    """By what is declared of the release's source."""
    match settings.source:
        case "carried":
            return Parcel(release, own, wheels, wheels, ("--offline", "--no-index"), "sent from here")
        case "cache":
            assert settings.cache is not None  # the model's own rule
            offline = ("--offline",) if PurePosixPath(settings.cache).is_absolute() else ()
            flags = (*offline, "--no-index", "--find-links", settings.cache)
        case "index":
            builds = () if torch is None else ("--index", index_of(settings.torch_index_url, torch))
            # The hash decides what is taken, so that the order in which indexes are asked decides nothing.
            first = ("--default-index", settings.index_url or PYPI)
            flags = (*first, *builds, "--index-strategy", "unsafe-best-match")
        case _:
            assert_never(settings.source)
    sent = tuple(wheel for wheel in wheels if wheel.is_built_here)
    place = settings.cache if settings.source == "cache" else settings.index_url or PYPI
    return Parcel(release, own, wheels, sent, flags, f"from {place}")


def index_of(base: str, torch: TorchBuild) -> str:
    """PyTorch's index of one build."""
    return f"{base.rstrip('/')}/{torch.label}"
