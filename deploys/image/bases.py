"""Distributions that images are made of, as data."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from livefleet.kernel import BadInput

__all__ = ["BASES", "AptSource", "Base", "base_of", "parse_source"]

_MIRROR: Final = "http://deb.debian.org"
_SNAPSHOT: Final = "http://snapshot.debian.org/archive"
_COMPONENTS: Final = "main contrib non-free-firmware"
_SNAPSHOT_TIME: Final = re.compile(r"^[0-9]{8}T[0-9]{6}Z$")
_LINE: Final = re.compile(
    r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<rest>(?:\s+\S+)*)\s*$"
)

# On a machine of its own nobody else brings these: a network, names, a clock, devices, the way in.
_NEEDED: Final = (
    "apt",
    "ca-certificates",
    "dbus",
    "e2fsprogs",
    "iproute2",
    "kmod",
    "libpam-systemd",
    "netbase",
    "nftables",
    "nginx-light",
    "openssh-server",
    "procps",
    "python3",
    "systemd",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "udev",
)


@dataclass(frozen=True, slots=True)
class AptSource:
    """One `deb` line."""

    options: str
    uri: str
    suite: str  # a flat repository's ends with `/`
    components: str

    @property
    def line(self) -> str:
        """As apt reads it."""
        options = f" [{self.options}]" if self.options else ""
        return f"deb{options} {self.told}"

    @property
    def told(self) -> str:
        """The line without its options."""
        return " ".join(filter(None, (self.uri, self.suite, self.components)))

    @property
    def index(self) -> str:
        """The folder of its Release file."""
        uri = self.uri.rstrip("/")
        return (
            f"{uri}/{self.suite.strip('/')}".rstrip("./") if self.suite.endswith("/") else f"{uri}/dists/{self.suite}"
        )


@dataclass(frozen=True, slots=True)
class Base:
    """One release of a distribution."""

    suite: str
    os_id: str
    os_version: str
    python: str
    boots_by: tuple[str, ...]  # packages of a disk that boots and grows by itself
    kernels: tuple[str, ...] = ("linux-image-amd64", "linux-image-cloud-amd64")  # metapackages; the first by default

    @property
    def packages(self) -> tuple[str, ...]:
        """What every image has, sorted."""
        return _NEEDED

    def sources(self, snapshot: str | None) -> tuple[AptSource, ...]:
        """Debian's own: of today, or as they were at the time `20260901T000000Z` by snapshot.debian.org."""
        if snapshot is not None and not _SNAPSHOT_TIME.fullmatch(snapshot):
            raise BadInput(f"--snapshot {snapshot}: write a time such as 20260901T000000Z")
        where = _MIRROR if snapshot is None else _SNAPSHOT
        at = "" if snapshot is None else f"/{snapshot}"
        options = "" if snapshot is None else "check-valid-until=no"
        return (
            AptSource(options, f"{where}/debian{at}", self.suite, _COMPONENTS),
            AptSource(options, f"{where}/debian{at}", f"{self.suite}-updates", _COMPONENTS),
            AptSource(options, f"{where}/debian-security{at}", f"{self.suite}-security", _COMPONENTS),
        )


BASES: Final[dict[str, Base]] = {
    base.suite: base
    for base in (
        Base("bookworm", "debian", "12", "3.11", ("systemd-boot",)),
        Base("trixie", "debian", "13", "3.13", ("systemd-boot", "systemd-repart")),
    )
}


def base_of(suite: str) -> Base:
    """The row of a suite. Raises BadInput naming those that there are."""
    try:
        return BASES[suite]
    except KeyError:
        raise BadInput(f"no images are made of {suite}; choose among {', '.join(BASES)}") from None


def parse_source(line: str) -> AptSource:
    """`deb [options] URI SUITE COMPONENTS`. Raises BadInput."""
    found = _LINE.match(line)
    if found is None or not (found["suite"].endswith("/") or found["rest"].strip()):
        raise BadInput(
            f"--apt-source {line!r}: write a line of apt's, as `deb http://mirror.example/debian bookworm main`"
        )
    return AptSource((found["options"] or "").strip(), found["uri"], found["suite"], " ".join(found["rest"].split()))


def told_sources(sources: Sequence[AptSource]) -> str:
    """A sources.list."""
    return "".join(f"{source.line}\n" for source in sources)
