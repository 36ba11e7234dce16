"""The protocol's contracts on one chain, found through the Controller."""

import logging
from types import TracebackType
from typing import Self

from livefleet.chain.contracts import (
    BondingManager,
    Controller,
    LivepeerToken,
    Minter,
    RoundsManager,
    ServiceRegistry,
    TicketBroker,
)
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.errors import NoProtocol
from livefleet.chain.rpc import Rpc
from livefleet.chain.signature import checksum_address
from livefleet.kernel import ZERO_ADDRESS, Address, BadInput, Clock
from livefleet.spec import Network, NetworkName

__all__ = ["ChainClient", "connect"]

log = logging.getLogger(__name__)

ARBITRUM_ONE_CHAIN_ID = 42161
ARBITRUM_ONE_CONTROLLER = Address("0xD8E8328501E9645d16Cf49539efC04f734606ee4")
ARBITRUM_ONE_AI_REGISTRY = Address("0x04C0b249740175999E5BF5c9ac1dA92431EF34C5")
"""Not in the Controller of Arbitrum One; called directly."""

_NAMES = ("LivepeerToken", "BondingManager", "TicketBroker", "RoundsManager", "ServiceRegistry", "Minter")
_AI_REGISTRY = "AIServiceRegistry"
_LAG_BLOCKS = 40  # ten seconds of Arbitrum One: what differs between nodes that are well is less
_LAG_BLOCKS_LOCAL = 2


class ChainClient:
    """Typed readers over one `Rpc`. An async context manager that closes it."""

    def __init__(
        self,
        rpc: Rpc,
        chain_id: int,
        controller: Controller,
        addresses: dict[str, Address],
        ai_registry: Address | None,
    ) -> None:
        self.rpc = rpc
        self.chain_id = chain_id
        self.controller = controller
        self.token = LivepeerToken(rpc, addresses["LivepeerToken"])
        self.bonding = BondingManager(rpc, addresses["BondingManager"])
        self.broker = TicketBroker(rpc, addresses["TicketBroker"])
        self.rounds = RoundsManager(rpc, addresses["RoundsManager"])
        self.minter = Minter(rpc, addresses["Minter"])
        self.services = ServiceRegistry(rpc, addresses["ServiceRegistry"])
        self.ai_services = ServiceRegistry(rpc, ai_registry) if ai_registry else None

    async def look_up_again(self) -> tuple[str, ...]:
        """Ask the Controller again; readers go over to new addresses at once, all of them together.

        Returns the names of contracts that have moved. Calls that were encoded before still go to the old ones.
        """
        readers: dict[str, Contract] = {
            "LivepeerToken": self.token,
            "BondingManager": self.bonding,
            "TicketBroker": self.broker,
            "RoundsManager": self.rounds,
            "ServiceRegistry": self.services,
            "Minter": self.minter,
        }
        found = await self.controller.addresses(tuple(readers))
        moved = {name: address for name, address in found.items() if address != readers[name].address}
        for name, address in moved.items():
            if address == ZERO_ADDRESS:
                log.error("chain.contract_gone", extra={"contract": name, "kept": readers[name].address})
                continue
            log.warning("chain.contract_moved", extra={"contract": name, "old": readers[name].address, "new": address})
            readers[name].address = address
        return tuple(name for name, address in moved.items() if address != ZERO_ADDRESS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.rpc.__aexit__(kind, error, trace)


async def connect(network: Network, *, timeout_s: float = 20.0, clock: Clock | None = None) -> ChainClient:
    """Reach the network's chain and look its contracts up.

    Use as `async with await connect(network) as client`. Raises BadInput for a network that cannot be reached by its
    spec, WrongChain for another chain, NoProtocol while the contracts cannot be found, Transient while no endpoint
    answers.
    """
    chain_id, controller_address = _identity(network)
    rpc = Rpc(
        network.endpoints,
        chain_id=chain_id,
        timeout_s=timeout_s,
        lag_blocks=_LAG_BLOCKS if network.name is NetworkName.ARBITRUM_ONE else _LAG_BLOCKS_LOCAL,
        clock=clock,
    )
    try:
        return await _look_up(network, rpc, controller_address)
    except BaseException:
        await rpc.__aexit__(None, None, None)
        raise


async def _look_up(network: Network, rpc: Rpc, controller_address: Address) -> ChainClient:
    controller = Controller(rpc, controller_address)
    chain_id = await rpc.chain_id()
    if not await rpc.has_code(controller_address):
        raise NoProtocol(f"there is no contract at the Controller's address {controller_address} on chain {chain_id}")
    found = await controller.addresses((*_NAMES, _AI_REGISTRY))
    missing = [name for name in _NAMES if found[name] == ZERO_ADDRESS]
    if missing:
        raise NoProtocol(f"the Controller {controller_address} does not know {', '.join(missing)}")
    ai_registry: Address | None = found[_AI_REGISTRY] if found[_AI_REGISTRY] != ZERO_ADDRESS else None
    if network.name is NetworkName.ARBITRUM_ONE:
        ai_registry = ARBITRUM_ONE_AI_REGISTRY
    return ChainClient(rpc, chain_id, controller, found, ai_registry)


def _identity(network: Network) -> tuple[int | None, Address]:
    if not network.on_chain:
        raise BadInput("network offchain has no chain to connect to")
    if not network.rpc:
        raise BadInput(f"network {network.name}: give at least one JSON-RPC endpoint in `rpc`")
    if network.controller is not None:
        controller = checksum_address(bytes.fromhex(network.controller[2:]))
    elif network.name is NetworkName.ARBITRUM_ONE:
        controller = ARBITRUM_ONE_CONTROLLER
    else:
        raise BadInput(f"network {network.name}: give the address of its Controller in `controller`")
    default = ARBITRUM_ONE_CHAIN_ID if network.name is NetworkName.ARBITRUM_ONE else None
    return network.chain_id or default, controller
