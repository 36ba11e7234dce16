"""Which hosts a monitor knows, and how it gets at their metrics."""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from livefleet.spec.central import MonitoredHost
from livefleet.spec.node import NodeSpec
from livefleet.spec.roles import Role

__all__ = ["EXPORTER_PORT", "Reached", "monitor_addresses", "monitored_hosts", "unseen"]

EXPORTER_PORT: Final = 9100
"""The node exporter's."""

_LOOPBACK: Final = ("127.", "localhost", "[::1]", "::1")
_ANY: Final = ("", "0.0.0.0", "*", "[::]")  # noqa: S104 -- compared, not bound


@dataclass(frozen=True, slots=True)
class Reached:
    """A node, and where it is reached."""

    node: NodeSpec
    address: str  # without a port; empty for the operator's own machine


def monitored_hosts(hosts: Mapping[str, Reached], of: str) -> tuple[MonitoredHost, ...]:
    """Every host as the monitor `of` knows it, by name; another monitor only where it can be reached."""
    known = (_monitored(name, hosts[name], hosts[of]) for name in sorted(hosts))
    return tuple(host for host in known if host.address or host.role != Role.MONITOR)


def unseen(hosts: Mapping[str, Reached]) -> Iterator[str]:
    """Hosts that a monitor of the fleet neither reaches nor hears."""
    monitors = [reached for reached in hosts.values() if reached.node.role is Role.MONITOR]
    for name, reached in hosts.items():
        if reached.node.role is Role.MONITOR or _pushes(reached.node):
            continue
        if any(not _address(reached, monitor)[0] for monitor in monitors):
            yield name


def monitor_addresses(hosts: Mapping[str, Reached]) -> tuple[str, ...]:
    """Networks of one address each: where monitors are said to be, as far as an IP address says it."""
    found = []
    for reached in hosts.values():
        if reached.node.role is not Role.MONITOR:
            continue
        try:
            found.append(str(ipaddress.ip_network(reached.address)))
        except ValueError:
            continue
    return tuple(sorted(set(found)))


def _monitored(name: str, reached: Reached, monitor: Reached) -> MonitoredHost:
    node = reached.node
    if _pushes(node):
        return MonitoredHost(name=name, role=node.role.value)
    address, is_door = _address(reached, monitor)
    door = node.monitoring.scrape if is_door else None
    return MonitoredHost(
        name=name,
        role=node.role.value,
        address=address,
        tls=door is not None and door.tls is not None,
        token=(door.token or "") if door is not None else "",
        pulls=node.pull is not None and reached is not monitor,
        exporter=_exporter(reached, monitor),
    )


def _pushes(node: NodeSpec) -> bool:
    return node.monitoring.push is not None and node.monitoring.push.metrics


def _address(reached: Reached, monitor: Reached) -> tuple[str, bool]:
    """Where its metrics are, and whether that is the door for monitors; empty: nowhere."""
    monitoring = reached.node.monitoring
    admin, _, port = monitoring.admin_listen.rpartition(":")
    if _is_one_machine(reached, monitor):
        return f"{'127.0.0.1' if admin in _ANY else admin}:{port}", False
    if monitoring.scrape is not None and not monitoring.scrape.listen.startswith(_LOOPBACK):
        return _dialled(monitoring.scrape.listen, reached), True
    if not monitoring.admin_listen.startswith(_LOOPBACK):
        return _dialled(monitoring.admin_listen, reached), False
    return "", False


def _is_one_machine(reached: Reached, monitor: Reached) -> bool:
    return reached is monitor or reached.address == monitor.address


def _dialled(listen: str, reached: Reached) -> str:
    host, _, port = listen.rpartition(":")
    return f"{_bracketed(reached.address) if host in _ANY else host}:{port}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def _exporter(reached: Reached, monitor: Reached) -> str:
    if not reached.node.monitoring.node_exporter:
        return ""
    if _is_one_machine(reached, monitor):
        return f"127.0.0.1:{EXPORTER_PORT}"
    address, is_door = _address(reached, monitor)
    return address if is_door else ""
