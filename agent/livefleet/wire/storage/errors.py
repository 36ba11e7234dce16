"""What goes wrong with object stores.

OutsideWorld
|- AddressRefused   a peer's URL leads to where this node does not send anything
`- UploadFailed     a store did not take a file in time
"""

from livefleet.kernel import OutsideWorld

__all__ = ["AddressRefused", "UploadFailed"]


class AddressRefused(OutsideWorld):
    """Every address of a host is private, loopback or otherwise not of the open internet."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} has no public address, and its network is not listed under `peer_networks`")
        self.host = host


class UploadFailed(OutsideWorld):
    """A store did not take a file; `reason` never holds what was signed."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"object store {host}: {reason}")
        self.host = host
        self.reason = reason
