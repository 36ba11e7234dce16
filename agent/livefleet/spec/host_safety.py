"""What is made of a host beside the agent: its firewall, its clock, its logs and limits. Never sent to the host."""

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from livefleet.spec.memory import Memory
from livefleet.spec.model import SpecModel

__all__ = ["FirewallSettings", "MachineSettings", "OpenPort", "PeerText"]


def _peer(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no address and no network such as 10.0.0.0/8: {error}") from error


PeerText = Annotated[str, AfterValidator(_peer)]
"""An address, or a network in CIDR notation."""

Port = Annotated[int, Field(ge=1, le=65535)]


class OpenPort(SpecModel):
    """A port that the firewall lets in beside the agent's own."""

    port: Port
    """Its number."""

    protocol: Literal["tcp", "udp"] = "tcp"
    """`tcp` or `udp`."""

    sources: tuple[PeerText, ...] = ()
    """Addresses or networks that may reach it. Empty: everybody."""


class FirewallSettings(SpecModel):
    """Which connections the host accepts."""

    mode: Literal["none", "managed"] = "none"
    """`managed`: a table of livefleet's own in nftables lets in ssh, the front door, what `monitors` ask for, a
    monitor's door for hosts that push, and what `ports` says, and nothing else. `none`: no rule is made, and an earlier
    table of livefleet's is taken away. The default is none because a host may serve more than livefleet, and whatever
    is not said here would be cut off."""

    monitors: tuple[PeerText, ...] = ()
    """Addresses or networks that may reach `monitoring.scrape`, and the admin port where `monitoring.admin_listen` is
    not loopback. Not said: the fleet's hosts with the role monitor, as far as their `address` is an IP address."""

    ports: tuple[OpenPort, ...] = ()
    """Further ports that are let in, such as a node exporter's."""


class MachineSettings(SpecModel):
    """The host's clock, logs and kernel settings."""

    mode: Literal["managed", "none"] = "managed"
    """`managed`: a time service runs, the journal has a limit, and the few kernel settings are made that the agent
    needs, each in a file of livefleet's own. `none`: nothing of it is touched, and earlier files of livefleet's are
    taken away."""

    journal_max: Memory = 1 << 30
    """Room on the disk for the system's whole journal, of which the agent writes most."""
