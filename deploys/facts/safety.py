"""What a host tells of its firewall, clock, logs and kernel settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["SAFETY_LINES", "SafetyFacts", "Sysctl", "parse_safety"]

SAFETY_LINES: Final = ("time_service", "filters", "ssh_port", "sysctl", "swap")
"""Names that may be printed many times."""


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A kernel setting as it is."""

    value: int
    writable: bool  # False in a container whose settings are the machine's


@dataclass(frozen=True, slots=True)
class SafetyFacts:
    """A host's own safety."""

    ssh_connection: tuple[str, int] | None = None  # from where and to which port whoever observed it came in
    ssh_ports: tuple[int, ...] = ()  # that sshd is set to, or systemd listens on for it
    time_services: tuple[str, ...] = ()  # active ones
    timesyncd_masked: bool = False
    container: str = ""  # kind of the container that this host is; "" for a machine of its own
    filters: tuple[str, ...] = ()  # others that decide on packets: docker, firewalld, nftables, ufw
    nft: bool = False
    firewall_now: str = ""  # digest of livefleet's table; "" where there is none
    firewall_loaded: str = ""  # that digest when the table was loaded last
    firewall_enabled: bool = False
    sysctl: Mapping[str, Sysctl] = field(default_factory=dict)
    swap: tuple[str, ...] = ()  # devices and files
    nvidia_device: tuple[int, str] | None = None  # mode and group of /dev/nvidiactl
    service_uid: int | None = None  # of the user `livefleet`; None where there is none
    service_groups: tuple[str, ...] = ()
    systemd_version: int = 0
    systemd_creds: bool = False


def parse_safety(single: Mapping[str, str], many: Mapping[str, Sequence[str]]) -> SafetyFacts:
    """From the lines of observe_safety.sh."""
    uid, _, groups = single.get("service_ids", "").partition(" ")
    return SafetyFacts(
        ssh_connection=_connection(single.get("ssh_connection", "")),
        ssh_ports=tuple(sorted({int(port) for port in many["ssh_port"] if port.isdigit()})),
        time_services=tuple(many["time_service"]),
        timesyncd_masked="timesyncd_masked" in single,
        container=single.get("container", ""),
        filters=tuple(many["filters"]),
        nft="nft" in single,
        firewall_now=single.get("firewall_now", ""),
        firewall_loaded=single.get("firewall_loaded", ""),
        firewall_enabled="firewall_enabled" in single,
        sysctl=dict(_sysctl(many["sysctl"])),
        swap=tuple(many["swap"]),
        nvidia_device=_device(single.get("nvidia_device", "")),
        service_uid=int(uid) if uid else None,
        service_groups=tuple(groups.split()),
        systemd_version=int(single.get("systemd_version") or 0),
        systemd_creds="systemd_creds" in single,
    )


def _connection(text: str) -> tuple[str, int] | None:
    """SSH_CONNECTION: client's address and port, server's address and port."""
    words = text.split()
    return (words[0], int(words[3])) if len(words) == 4 else None


def _sysctl(lines: Sequence[str]) -> list[tuple[str, Sysctl]]:
    found = []
    for line in lines:
        name, value, may = line.split(" ")
        found.append((name, Sysctl(int(value), may == "rw")))
    return found


def _device(text: str) -> tuple[int, str] | None:
    mode, _, group = text.partition(" ")
    return (int(mode, 8), group) if group else None
