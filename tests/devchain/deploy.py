"""Puts the protocol on a fresh chain."""

from dataclasses import dataclass
from enum import StrEnum

from eth_abi.abi import encode

from livefleet.chain import Call, Rpc, keccak256
from livefleet.chain.abi import Function
from livefleet.chain.contracts import contract_id
from livefleet.kernel import Address
from tests.devchain.accounts import DEPLOYER, KEEPER, dev_signer
from tests.devchain.originals import Originals
from tests.devchain.sender import Sender
from tests.devchain.toolchain import Artifact

__all__ = ["LPT", "Deployment", "ProtocolVersion", "deploy"]

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
_TREASURY_BALANCE_CEILING = 750_000 * LPT
_VOTING_DELAY = 1  # rounds
_VOTING_PERIOD = 10  # rounds
_PROPOSAL_THRESHOLD = 100 * LPT
_QUORUM = 333_300  # parts of 10**6 of all stake
_QUOTA = 500_000  # parts of 10**6 of votes for and against
_POLL_ROUNDS = 10
_ROLES = ("PROPOSER_ROLE", "CANCELLER_ROLE", "EXECUTOR_ROLE")

SET_CONTRACT_INFO = Function.parse("setContractInfo(bytes32 id, address contractAddress, bytes20 gitCommitHash)")
MINT = Function.parse("mint(address to, uint256 amount)")
ALLOW_MINTER = Function.parse("allowMinter(address account)")
SET_TREASURY_CEILING = Function.parse("setTreasuryBalanceCeiling(uint256 ceiling)")
GRANT_ROLE = Function.parse("grantRole(bytes32 role, address account)")
INITIALIZE_ROUND = Function.parse("initializeRound()")


class ProtocolVersion(StrEnum):
    """Whose rules the BondingManager has."""

    LIVE = "live"
    """As on Arbitrum One: reward callers (LIP-118), fees for active orchestrators only, reward before added stake for a
    member that leaves the pool."""

    EARLY_2024 = "2024"
    """Before those; the chain that most known answers were taken from."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the contracts are. All but the price feed are in the Controller too."""

    controller: Address
    price_feed: Address
    ai_service_registry: Address


async def deploy(
    rpc: Rpc,
    chain_id: int,
    artifacts: dict[str, Artifact],
    *,
    round_length: int,
    pool_max_size: int = _POOL_MAX_SIZE,
    protocol: ProtocolVersion = ProtocolVersion.LIVE,
    originals: Originals | None = None,
) -> Deployment:
    """Deploy and wire every contract and initialise the first round. `originals` take the place of ours."""
    sender, owner, keeper = Sender(rpc, chain_id), dev_signer(DEPLOYER), dev_signer(KEEPER)

    def code(name: str, kinds: str = "", *values: object) -> bytes:
        return artifacts[name].bytecode + (encode(kinds.split(), list(values)) if kinds else b"")

    controller, token, services, ai_services, feed, treasury = await sender.deploy(
        owner,
        code("Controller"),
        code("LivepeerToken"),
        code("ServiceRegistry"),
        code("ServiceRegistry"),
        code("PriceFeed", "int256", _ETH_USD),
        code("Treasury"),
    )
    inflation = (_INFLATION, _INFLATION_CHANGE, _TARGET_BONDING_RATE)
    minter, rounds, bonding, broker, votes = await sender.deploy(
        owner,
        code("Minter", "address uint256 uint256 uint256", controller, *inflation),
        code("RoundsManager", "address uint256 uint256", controller, round_length, _ROUND_LOCK),
        code("BondingManager", "address uint256 bool", controller, pool_max_size, protocol is ProtocolVersion.LIVE),
        code("TicketBroker", "address uint256 uint256", controller, _UNLOCK_PERIOD, _TICKET_VALIDITY_PERIOD),
        code("BondingVotes", "address", controller),
    )
    further: tuple[Call, ...] = ()
    if originals is not None:
        bonding, votes, broker = await originals.deploy(sender, controller)
        further = originals.parameters(bonding, broker, pool_max_size)
    names = {
        "LivepeerToken": token,
        "Minter": minter,
        "RoundsManager": rounds,
        "BondingManager": bonding,
        "TicketBroker": broker,
        "JobsManager": broker,
        "ServiceRegistry": services,
        "AIServiceRegistry": ai_services,
        "BondingVotes": votes,
        "Treasury": treasury,
    }
    await sender.send(owner, *(_register(controller, name, address) for name, address in names.items()))
    rules = (_VOTING_DELAY, _VOTING_PERIOD, _PROPOSAL_THRESHOLD, _QUORUM, _QUOTA)
    governor, polls = await sender.deploy(
        owner,
        code(
            "LivepeerGovernor",
            "address address address (uint256,uint256,uint256,uint256,uint256)",
            *(controller, votes, treasury, rules),
        ),
        code("PollCreator", "address uint256", bonding, _POLL_ROUNDS * round_length),
    )
    await sender.send(
        owner,
        _register(controller, "LivepeerGovernor", governor),
        _register(controller, "PollCreator", polls),
        *(Call(to=treasury, data=GRANT_ROLE.encode(keccak256(role.encode()), governor)) for role in _ROLES),
        Call(to=bonding, data=SET_TREASURY_CEILING.encode(_TREASURY_BALANCE_CEILING)),
        Call(to=token, data=ALLOW_MINTER.encode(minter)),
        Call(to=token, data=MINT.encode(owner.address, _SUPPLY)),
        *further,
    )
    await sender.send(keeper, Call(to=rounds, data=INITIALIZE_ROUND.encode()))
    return Deployment(controller=controller, price_feed=feed, ai_service_registry=ai_services)


def _register(controller: Address, name: str, address: Address) -> Call:
    return Call(to=controller, data=SET_CONTRACT_INFO.encode(contract_id(name), address, b"\0" * 20))
