"""Puts the protocol on a fresh chain."""

from dataclasses import dataclass

from eth_abi.abi import encode

from livefleet.chain import Call, Rpc
from livefleet.chain.abi import Function
from livefleet.chain.contracts import contract_id
from livefleet.kernel import Address
from tests.devchain.accounts import DEPLOYER, KEEPER, dev_signer
from tests.devchain.sender import Sender
from tests.devchain.toolchain import Artifact

__all__ = ["Deployment", "deploy"]

LPT = 10**18
_SUPPLY = 10_000_000 * LPT
_INFLATION = 250_000  # parts of 10**9 a round, 0.025 %
_INFLATION_CHANGE = 500
_TARGET_BONDING_RATE = 500_000_000
_ROUND_LOCK = 100_000  # parts of 10**6, 10 %
_POOL_MAX_SIZE = 100
_UNLOCK_PERIOD = 7  # rounds
_TICKET_VALIDITY_PERIOD = 2  # rounds
_ETH_USD = 3_000 * 10**8

SET_CONTRACT_INFO = Function.parse("setContractInfo(bytes32 id, address contractAddress, bytes20 gitCommitHash)")
MINT = Function.parse("mint(address to, uint256 amount)")
ALLOW_MINTER = Function.parse("allowMinter(address account)")
INITIALIZE_ROUND = Function.parse("initializeRound()")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the contracts are. All but the price feed are in the Controller too."""

    controller: Address
    price_feed: Address
    ai_service_registry: Address


async def deploy(
    rpc: Rpc, chain_id: int, artifacts: dict[str, Artifact], *, round_length: int, pool_max_size: int = _POOL_MAX_SIZE
) -> Deployment:
    """Deploy and wire every contract and initialise the first round."""
    sender, owner, keeper = Sender(rpc, chain_id), dev_signer(DEPLOYER), dev_signer(KEEPER)

    def code(name: str, kinds: str = "", *values: object) -> bytes:
        return artifacts[name].bytecode + (encode(kinds.split(), list(values)) if kinds else b"")

    controller, token, services, ai_services, feed = await sender.deploy(
        owner,
        code("Controller"),
        code("LivepeerToken"),
        code("ServiceRegistry"),
        code("ServiceRegistry"),
        code("PriceFeed", "int256", _ETH_USD),
    )
    inflation = (_INFLATION, _INFLATION_CHANGE, _TARGET_BONDING_RATE)
    minter, rounds, bonding, broker = await sender.deploy(
        owner,
        code("Minter", "address uint256 uint256 uint256", controller, *inflation),
        code("RoundsManager", "address uint256 uint256", controller, round_length, _ROUND_LOCK),
        code("BondingManager", "address uint256", controller, pool_max_size),
        code("TicketBroker", "address uint256 uint256", controller, _UNLOCK_PERIOD, _TICKET_VALIDITY_PERIOD),
    )
    names = {
        "LivepeerToken": token,
        "Minter": minter,
        "RoundsManager": rounds,
        "BondingManager": bonding,
        "TicketBroker": broker,
        "JobsManager": broker,
        "ServiceRegistry": services,
        "AIServiceRegistry": ai_services,
        "Treasury": dev_signer(DEPLOYER).address,
    }
    await sender.send(
        owner,
        *(
            Call(to=controller, data=SET_CONTRACT_INFO.encode(contract_id(name), address, b"\0" * 20))
            for name, address in names.items()
        ),
        Call(to=token, data=ALLOW_MINTER.encode(minter)),
        Call(to=token, data=MINT.encode(owner.address, _SUPPLY)),
    )
    await sender.send(keeper, Call(to=rounds, data=INITIALIZE_ROUND.encode()))
    return Deployment(controller=controller, price_feed=feed, ai_service_registry=ai_services)
