"""What a host tells of its NVIDIA driver, its package sources and its listening sockets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["DRIVER_LINES", "DriverFacts", "Listener", "Offer", "Package", "parse_driver", "parse_listeners"]

DRIVER_LINES = ("package", "held", "dkms", "origin", "offer")
"""Names that may be printed many times."""

_HEADERS: Final[tuple[Literal["here", "offered", "absent"], ...]] = ("here", "offered", "absent")
_ABSENT: Final = ("rc", "un", "pn")  # removed, its configuration kept; never there; purged


@dataclass(frozen=True, slots=True)
class Package:
    """A package of NVIDIA's, as dpkg has it."""

    name: str
    version: str
    whole: bool  # False: dpkg was cut off in it, or its scripts failed
    held: bool

    @property
    def upstream(self) -> str:
        """The version without epoch and packaging, `580.95.05` of `1:580.95.05-1`."""
        return self.version.rpartition(":")[2].partition("-")[0]

    @property
    def is_driver(self) -> bool:
        """Whether its version is that of a driver: the container toolkit and helpers have versions of their own."""
        first, _, rest = self.upstream.partition(".")
        return len(first) == 3 and first.isdigit() and bool(rest)


@dataclass(frozen=True, slots=True)
class Offer:
    """A driver package that one of the host's package sources has."""

    name: str
    version: str
    source: str  # address and suite
    origin: str  # what the source calls itself; empty where it does not

    @property
    def branch(self) -> int:
        """The driver branch; 0 where the version is no driver's."""
        first = self.version.rpartition(":")[2].partition(".")[0]
        return int(first) if first.isdigit() else 0


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket."""

    port: int
    pid: int  # 0: not to be seen by this user
    own: bool  # the agent's of this node
    unit: str
    program: str

    @property
    def told(self) -> str:
        """For people."""
        who = self.program or "an unknown program"
        return f"{who}{f' ({self.unit})' if self.unit else f' (process {self.pid})' if self.pid else ''}"


@dataclass(frozen=True, slots=True)
class DriverFacts:
    """A host with an NVIDIA device."""

    packages: tuple[Package, ...] = ()
    module: str = ""  # version of the module that the running kernel would load
    runfile: bool = False  # a driver that apt does not know, with its own uninstaller
    display: bool = False  # nouveau has a screen
    nvswitch: bool = False
    headers: Literal["here", "offered", "absent", ""] = ""  # of the running kernel; "": no package source was read yet
    newest_kernel: str = ""
    dkms: tuple[str, ...] = ()
    boot_free_kib: int = 0
    initrd_kib: int = 0  # the largest
    usr_free_kib: int = 0
    apt_holder: str = ""
    mok: str = ""  # `enrolled`, `pending`, or not known to be either
    offers: tuple[Offer, ...] = ()
    encode_sha256: str = ""  # of libnvidia-encode, whose place is `encode`
    encode: str = ""
    encode_kept: str = ""  # digest of the patched library that the original is kept for
    change: str = ""  # a change of the driver that did not come to its end
    persistence: bool = False

    @property
    def driver_packages(self) -> tuple[Package, ...]:
        """Those that are the driver itself."""
        return tuple(package for package in self.packages if package.is_driver)

    @property
    def installed(self) -> str:
        """The driver's version as installed, from its kernel modules' or else most packages; empty without packages."""
        versions = [package.upstream for package in self.driver_packages]
        return max(sorted(set(versions)), key=versions.count, default="")

    @property
    def broken(self) -> tuple[str, ...]:
        """Packages of NVIDIA's that are only half there."""
        return tuple(package.name for package in self.packages if not package.whole)


def parse_driver(single: Mapping[str, str], many: Mapping[str, Sequence[str]]) -> DriverFacts:
    """The printed values; `many` has every name of DRIVER_LINES."""
    held = set(many["held"])
    origins = dict(line.rsplit("|", 1) for line in many["origin"] if "|" in line)
    encode_sha256, _, encode = single.get("encode", "").partition(" ")
    return DriverFacts(
        packages=tuple(p for line in many["package"] if (p := _package(line, held)) is not None),
        module=single.get("module", ""),
        runfile="runfile" in single,
        display="display" in single,
        nvswitch="nvswitch" in single,
        headers=next((word for word in _HEADERS if word == single.get("headers")), ""),
        newest_kernel=single.get("newest_kernel", ""),
        dkms=tuple(many["dkms"]),
        boot_free_kib=int(single.get("boot_free_kib") or 0),
        initrd_kib=int(single.get("initrd_kib") or 0),
        usr_free_kib=int(single.get("usr_free_kib") or 0),
        apt_holder=single.get("apt_holder", ""),
        mok=single.get("mok", ""),
        offers=tuple(o for line in many["offer"] if (o := _offer(line, origins)) is not None),
        encode_sha256=encode_sha256,
        encode=encode,
        encode_kept=single.get("encode_kept", "").partition(" ")[0],
        change=single.get("driver_change", ""),
        persistence="persistence" in single,
    )


def parse_listeners(lines: Sequence[str]) -> tuple[Listener, ...]:
    """`port pid own|other unit|- program|-`, one a line."""
    found = []
    for line in lines:
        port, pid, own, unit, program = line.split(" ", 4)
        found.append(
            Listener(int(port), int(pid), own == "own", unit.strip("-") and unit, program.strip("-") and program)
        )
    return tuple(found)


def _package(line: str, held: set[str]) -> Package | None:
    status, name, version = line.split("|")
    if status[:2] in _ABSENT:
        return None
    # The first letter is what is wanted: `hi` is an installed package that is held.
    return Package(name, version, whole=status[1:] == "i", held=name in held or status.startswith("h"))


def _offer(line: str, origins: Mapping[str, str]) -> Offer | None:
    parts = line.split("|")
    if len(parts) != 3:
        return None
    name, version, source = parts
    place = source.rpartition(" ")[0]  # without `Packages` or `Sources`
    url = place.split(" ")[0]
    return Offer(name, version, place, next((o for p, o in origins.items() if p.split(" ")[0] == url), ""))
