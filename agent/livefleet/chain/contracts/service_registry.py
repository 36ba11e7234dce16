"""The ServiceRegistry: where gateways find an orchestrator. Two independent instances: one for video, one for AI."""

from livefleet.chain.abi import Event, Function
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.models import Call
from livefleet.kernel import Address

__all__ = ["ServiceRegistry"]

GET_SERVICE_URI = Function.parse("getServiceURI(address addr) returns (string)")
SET_SERVICE_URI = Function.parse("setServiceURI(string serviceURI)")
SERVICE_URI_UPDATE = Event.parse("ServiceURIUpdate(address indexed addr, string serviceURI)")


class ServiceRegistry(Contract):
    """Stores any text an orchestrator sets for itself; nothing is validated on chain."""

    async def service_uri(self, address: Address) -> str:
        """The registered URI, empty where none is."""
        return str(await self.ask(GET_SERVICE_URI, address))

    def set_service_uri_call(self, uri: str) -> Call:
        """Register the signer's URI."""
        return self.call(SET_SERVICE_URI, uri)
