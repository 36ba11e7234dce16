"""All that the steps want to know of a host, read in one round trip."""

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyinfra.api import FactBase

from deploys.facts.driver import DRIVER_LINES, DriverFacts, Listener, parse_driver, parse_listeners
from deploys.facts.monitoring import PROGRAM_LINES, ProgramFact, parse_programs, parse_stamps
from deploys.facts.safety import SAFETY_LINES, SafetyFacts, parse_safety

__all__ = ["FileFact", "HostFacts", "Observed", "parse_facts", "script"]

END = "end=1"


@dataclass(frozen=True, slots=True)
class FileFact:
    """A file as it is on the host."""

    mode: int
    owner: str
    sha256: str
    text: str | None = None  # only of files that hold no secret


@dataclass(frozen=True, slots=True)
class Observed:
    """One host as found."""

    uid: int = -1
    user: str = ""
    machine: str = ""
    kernel: str = ""
    os_id: str = ""
    os_version: str = ""
    systemd: bool = False  # PID 1 is systemd
    python: tuple[int, ...] = ()  # () when there is none
    clock: int = 0  # unix seconds
    disk_free_kib: int = 0  # where releases go
    temporary_free_kib: int = 0  # in /tmp
    temporary_apart: bool = False  # /tmp is another disk than releases'
    nginx: bool = False
    apt: bool = False
    sudo: bool = False  # `sudo -n` works, or this is root already
    nvidia_pci: tuple[int, ...] = ()  # PCI device ids of NVIDIA display controllers
    nvidia_loaded: str = ""  # version of the loaded kernel module
    nvidia_gpus: tuple[tuple[str, str], ...] = ()  # UUID (`GPU-????…` until something has used it) and model
    nouveau: bool = False
    secure_boot: bool = False
    driver: DriverFacts = field(default_factory=DriverFacts)
    listeners: tuple[Listener, ...] = ()
    safety: SafetyFacts = field(default_factory=SafetyFacts)
    service_user: bool = False  # user `livefleet` exists
    current: str = ""  # release that `current` points at
    releases: tuple[str, ...] = ()  # complete ones, oldest first
    bundles: tuple[str, ...] = ()  # complete folders of wheels
    started: str = ""  # what the running service was started with
    staged: bool = False  # a run that was cut off had begun to write, and decided nothing
    switching: bool = False  # a switch was decided and cut off before its end
    good: str = ""  # what the service was started with when it was last seen serving
    previous: str = ""  # release of the state that is kept to go back to
    went_back: str = ""  # release that the host went back to, until the next change
    lock: str = ""  # `TOKEN SECONDS_LEFT OWNER` of an operator's lock that holds
    active: bool = False  # the service runs
    enabled: bool = False  # systemd starts it at boot
    files: dict[str, FileFact] = field(default_factory=dict)
    programs: Mapping[str, ProgramFact] = field(default_factory=dict)  # of monitoring, installed ones, by unit
    stamps: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # what each was started with, and has read


def script(root: str, public: Sequence[str], private: Sequence[str]) -> str:
    """The shell text that prints `name=value` lines about a host; of `private` files only mode, owner and digest."""
    folder = Path(__file__).parent.parent / "files"
    names = ("observe_driver.sh", "observe_safety.sh", "observe_monitoring.sh", "observe.sh")
    body = "".join((folder / name).read_text() for name in names)
    return f"root={shlex.quote(root)}\npublic={len(public)}\nset -- {shlex.join([*public, *private])}\n{body}"


def parse_facts(lines: Sequence[str]) -> Observed | None:
    """The printed lines as a value; None when the script did not reach its end."""
    if END not in lines:
        return None
    single: dict[str, str] = {}
    own = ("nvidia_pci", "nvidia_gpu", "releases", "bundles", "file", "text", "listener")
    many: dict[str, list[str]] = {name: [] for name in (*own, *DRIVER_LINES, *SAFETY_LINES, *PROGRAM_LINES)}
    for line in lines:
        name, _, value = line.partition("=")
        if name in many:
            many[name].append(value)
        else:
            single[name] = value.strip()
    texts = {path: base64.b64decode(content).decode() for content, path in (v.split(" ", 1) for v in many["text"])}
    files = {}
    for value in many["file"]:
        mode, owner, sha256, path = value.split(" ", 3)
        files[path] = FileFact(mode=int(mode, 8), owner=owner, sha256=sha256, text=texts.get(path))
    return Observed(
        uid=int(single.get("uid", "-1")),
        user=single.get("user", ""),
        machine=single.get("machine", ""),
        kernel=single.get("kernel", ""),
        os_id=single.get("os_id", ""),
        os_version=single.get("os_version", ""),
        systemd="systemd" in single,
        python=tuple(int(part) for part in single.get("python", "").split()),
        clock=int(single.get("clock", "0")),
        disk_free_kib=int(single.get("disk_free_kib") or 0),
        temporary_free_kib=int(single.get("temporary_free_kib") or 0),
        temporary_apart="temporary_apart" in single,
        nginx="nginx" in single,
        apt="apt" in single,
        sudo="sudo" in single,
        nvidia_pci=tuple(int(device, 16) for device in many["nvidia_pci"]),
        nvidia_loaded=single.get("nvidia_loaded", ""),
        nvidia_gpus=tuple((uuid, model) for uuid, _, model in (gpu.partition(" ") for gpu in many["nvidia_gpu"])),
        nouveau="nouveau" in single,
        secure_boot="secure_boot" in single,
        driver=parse_driver(single, many),
        listeners=parse_listeners(many["listener"]),
        safety=parse_safety(single, many),
        service_user="service_user" in single,
        current=single.get("current", ""),
        releases=tuple(many["releases"]),
        bundles=tuple(many["bundles"]),
        started=single.get("started", ""),
        staged="staged" in single,
        switching="switching" in single,
        good=single.get("good", ""),
        previous=single.get("previous", ""),
        went_back=single.get("went_back", ""),
        lock=single.get("lock", ""),
        active="active" in single,
        enabled="enabled" in single,
        files=files,
        programs=parse_programs(many["program"]),
        stamps=parse_stamps(many["program_stamp"]),
    )


class HostFacts(FactBase[Observed | None]):
    """One shell command; None when it could not run."""

    def command(self, root: str, public: Sequence[str], private: Sequence[str]) -> str:
        """See `script`."""
        return script(root, public, private)

    def process(self, output: list[str]) -> Observed | None:
        """See `parse_facts`."""
        return parse_facts(output)
