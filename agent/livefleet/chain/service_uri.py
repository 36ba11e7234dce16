"""Keeps a registered service URI as declared. Compared normalised, written exactly as declared."""

import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

from livefleet.chain.contracts import ServiceRegistry
from livefleet.chain.models import TransactionOutcome
from livefleet.chain.transactions import Transactions
from livefleet.kernel import Address, BadInput, Wei

__all__ = ["ServiceUriDuty", "same_service"]

log = logging.getLogger(__name__)


def same_service(one: str, other: str) -> bool:
    """Whether two URIs name the same place, whatever their case, default port and trailing slash."""
    return _normalised(one) == _normalised(other)


@dataclass(frozen=True, slots=True)
class ServiceUriDuty:
    """One registry's entry of the signer's orchestrator.

    The registry is keyed by the sender of the transaction: `transactions` must sign as the orchestrator.
    """

    registry: ServiceRegistry
    transactions: Transactions
    declared: str
    max_gas_price: Wei = Wei(0)

    async def observe(self) -> str:
        """The registered URI, empty where none is."""
        return await self.registry.service_uri(self.address)

    def plan(self, observed: str) -> str | None:
        """The URI to register, None where the registered one will do. Pure.

        Raises BadInput for one that nobody can reach.
        """
        host = urlsplit(self.declared).hostname
        if not host or host == "0.0.0.0":  # noqa: S104 -- refused, not bound
            raise BadInput(f"service URI {self.declared!r} names no host that a gateway could reach")
        return None if same_service(self.declared, observed) else self.declared

    async def apply(self, uri: str) -> TransactionOutcome:
        """Register `uri`."""
        outcome = await self.transactions.send(
            f"service URI {self.registry.address} {uri}",
            self.registry.set_service_uri_call(uri),
            max_gas_price=self.max_gas_price,
        )
        log.info("service_uri.registered", extra={"uri": uri, "tx": "0x" + outcome.tx_hash.hex()})
        return outcome

    @property
    def address(self) -> Address:
        """The orchestrator."""
        return self.transactions.address


def _normalised(uri: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(uri.strip())
    default = {"https": 443, "http": 80}.get(parts.scheme)
    try:
        port = parts.port or default
    except ValueError:
        port = None
    return parts.scheme, parts.hostname or "", port, parts.path.rstrip("/")
