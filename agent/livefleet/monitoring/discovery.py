"""Where Prometheus finds the fleet's hosts: target lists in the one shape that file_sd and http_sd share.

Source: Prometheus, "Writing HTTP service discovery": a JSON list of `targets` and `labels`, whole each time.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from livefleet.spec import MonitoredHost

__all__ = ["AGENTS_JOB", "EXPORTERS_JOB", "EXPORTER_PATH", "Door", "doors", "labels_of", "target_list", "through"]

AGENTS_JOB = "livefleet"
"""The label `job` of all that agents tell, whatever door it came by."""

EXPORTERS_JOB = "node"
"""The label `job` of node exporters."""

EXPORTER_PATH = "/node"
"""Where a node's door for monitors has the node exporter, which itself listens on loopback alone."""

Door = tuple[bool, str]
"""How a host's metrics are asked for: whether by TLS, and the name of the token; empty: none."""


def doors(hosts: Iterable[MonitoredHost]) -> tuple[Door, ...]:
    """The different ways in: each is a scrape configuration of its own, because credentials are."""
    return tuple(sorted({_door(host) for host in hosts if host.address}))


def through(hosts: Iterable[MonitoredHost], door: Door, *, pulling: bool) -> Iterator[MonitoredHost]:
    """Hosts that are asked that way. `pulling`: those in pull mode, or else those that apply brings settings to."""
    return (host for host in hosts if host.address and _door(host) == door and host.pulls is pulling)


def target_list(fleet: str, hosts: Iterable[MonitoredHost]) -> str:
    """Agents' and node exporters' addresses with their labels; one line each, so that a difference is readable."""
    groups = [group for host in hosts for group in _groups(fleet, host)]
    lines = ",\n".join(map(json.dumps, groups))
    return f"[\n{lines}\n]\n" if groups else "[]\n"


def labels_of(fleet: str, host: str, role: str, job: str) -> dict[str, str]:
    """What every sample of a host carries, whether it was asked for or pushed."""
    return {"job": job, "fleet": fleet, "node": host, "role": role}


def _groups(fleet: str, host: MonitoredHost) -> Iterator[dict[str, Any]]:
    yield {"targets": [host.address], "labels": labels_of(fleet, host.name, host.role, AGENTS_JOB)}
    if host.exporter:
        labels = labels_of(fleet, host.name, host.role, EXPORTERS_JOB)
        if host.exporter == host.address:
            labels["__metrics_path__"] = EXPORTER_PATH
        yield {"targets": [host.exporter], "labels": labels}


def _door(host: MonitoredHost) -> Door:
    return host.tls, host.token
