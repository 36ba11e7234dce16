"""A redeemer that orchestrators share: both sides of `net.TicketRedeemer`. README.md tells how they behave."""

from livefleet.wire.redeemer.client import RedeemerClient
from livefleet.wire.redeemer.server import REDEEMER_OPEN, Desk, RedeemerServer

__all__ = ["REDEEMER_OPEN", "Desk", "RedeemerClient", "RedeemerServer"]
