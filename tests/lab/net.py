"""The lab's network: a controller namespace with a bridge, and a namespace with one cable for each host.

No interface of it is ever in the machine's own namespace, and no namespace has a route beyond the bridge, so every lab
uses the same addresses.
"""

import ipaddress
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.processes import ProcessId
from tests.lab.shell import run

__all__ = ["CONTROLLER_ADDRESS", "Network"]

SUBNET = ipaddress.IPv4Network("10.77.0.0/24")
CONTROLLER_ADDRESS = str(SUBNET[1])
FIRST_HOST = 11
BRIDGE = "br0"


class Network:
    """The namespaces of one lab.

    Creating and removing are each complete in themselves: an object for a lab that another process made can remove it.
    """

    def __init__(self, lab: str) -> None:
        self._lab = lab
        self.controller = f"lf-ctl-{lab}"

    def namespace(self, host: str) -> str:
        return f"lf-{self._lab}-{host}"

    @staticmethod
    def address(index: int) -> str:
        """The address of the lab's nth host."""
        if FIRST_HOST + index >= SUBNET.num_addresses - 1:
            raise LabError(f"a lab has room for {SUBNET.num_addresses - 1 - FIRST_HOST} hosts")
        return str(SUBNET[FIRST_HOST + index])

    def create(self) -> None:
        """Make the controller namespace and its bridge."""
        run(["ip", "netns", "add", self.controller])
        _ip(self.controller, "link set lo up")
        _ip(self.controller, f"link add {BRIDGE} type bridge")
        _ip(self.controller, f"address add {CONTROLLER_ADDRESS}/{SUBNET.prefixlen} dev {BRIDGE}")
        _ip(self.controller, f"link set {BRIDGE} up")

    def attach(self, host: str, index: int) -> Path:
        """Make a host's namespace, plug it into the bridge and return the namespace's file."""
        inside = self.namespace(host)
        run(["ip", "netns", "add", inside])
        _ip(self.controller, f"link add veth{index} type veth peer name eth0 netns {inside}")
        _ip(self.controller, f"link set veth{index} master {BRIDGE} up")
        _ip(inside, "link set lo up")
        _ip(inside, f"address add {self.address(index)}/{SUBNET.prefixlen} dev eth0")
        _ip(inside, "link set eth0 up")
        return Path("/run/netns", inside)

    def detach(self, host: str) -> None:
        """Remove a host's namespace, and the cable with it."""
        _delete(self.namespace(host))

    def remove(self) -> None:
        """End what still runs in the controller namespace and remove it."""
        if Path("/run/netns", self.controller).exists():
            for pid in run(["ip", "netns", "pids", self.controller]).stdout.split():
                if process := ProcessId.of(int(pid)):
                    process.end(5)
        _delete(self.controller)


def _ip(namespace: str, command: str) -> None:
    run(["ip", "-netns", namespace, *command.split()])


def _delete(namespace: str) -> None:
    if Path("/run/netns", namespace).exists():
        run(["ip", "netns", "delete", namespace])
