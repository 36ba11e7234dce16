"""A redeemer that many orchestrators share."""

from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress, ListenAddress

__all__ = ["RedeemerLayer", "RedeemerSettings"]


class RedeemerLayer(SpecModel):
    """Redeeming for orchestrators, as far as one layer says."""

    listen: ListenAddress = "127.0.0.1:8935"
    """Address and port of the TicketRedeemer service. It knows no authentication, as the protocol has none: bind it to
    an address that only orchestrators reach."""

    key: str | None = None
    """Name (under `keys`) of the key that sends the redemptions and pays their gas."""

    recipient: EthAddress | None = None
    """The ticket recipient whose tickets are taken, the orchestrators' on-chain address. None: the key's own."""


class RedeemerSettings(RedeemerLayer):
    """Redeeming for orchestrators."""

    key: str
    """Name (under `keys`) of the key that sends the redemptions and pays their gas."""
