"""Parameters that governance may change, and the news that one has. Pure but for the reading."""

from collections.abc import Mapping
from dataclasses import dataclass

from livefleet.chain import ChainClient, Reverted
from livefleet.chain.abi import Function
from livefleet.chain.contracts.bonding_manager import POOL_MAX_SIZE
from livefleet.chain.contracts.controller import PAUSED
from livefleet.chain.contracts.minter import INFLATION_CHANGE, TARGET_BONDING_RATE
from livefleet.chain.contracts.rounds_manager import ROUND_LENGTH, ROUND_LOCK_AMOUNT
from livefleet.chain.contracts.ticket_broker import TICKET_VALIDITY_PERIOD
from livefleet.chain.rpc import Read

__all__ = ["ParameterChange", "changes", "read_parameters"]

UNBONDING_PERIOD = Function.parse("unbondingPeriod() returns (uint64)")
NEXT_TREASURY_CUT = Function.parse("nextRoundTreasuryRewardCutRate() returns (uint256)")
TREASURY_CEILING = Function.parse("treasuryBalanceCeiling() returns (uint256)")
UNLOCK_PERIOD = Function.parse("unlockPeriod() returns (uint256)")


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """One parameter that is not what it was."""

    name: str
    before: int
    after: int

    def __str__(self) -> str:
        return f"{self.name} changed from {self.before} to {self.after}"


async def read_parameters(client: ChainClient, block: int) -> dict[str, int]:
    """Each parameter as the chain keeps it; one that a contract does not have is left out. Raises Transient."""
    bonding, minter, rounds, broker = client.bonding, client.minter, client.rounds, client.broker
    reads: dict[str, Read] = {
        "round length": rounds.read(ROUND_LENGTH),
        "round lock amount": rounds.read(ROUND_LOCK_AMOUNT),
        "unbonding period": bonding.read(UNBONDING_PERIOD),
        "treasury reward cut": bonding.read(NEXT_TREASURY_CUT),
        "treasury balance ceiling": bonding.read(TREASURY_CEILING),
        "pool size limit": bonding.read(POOL_MAX_SIZE),
        "inflation change": minter.read(INFLATION_CHANGE),
        "target bonding rate": minter.read(TARGET_BONDING_RATE),
        "ticket validity period": broker.read(TICKET_VALIDITY_PERIOD),
        "unlock period": broker.read(UNLOCK_PERIOD),
        "paused": client.controller.read(PAUSED),
    }
    try:
        answers = await client.rpc.read_all(list(reads.values()), block=block)
    except Reverted:  # an older contract lacks one
        return {name: value for name, read in reads.items() if (value := await _one(client, read, block)) is not None}
    return {name: int(value) for name, (value,) in zip(reads, answers, strict=True)}


async def _one(client: ChainClient, read: Read, block: int) -> int | None:
    try:
        (value,) = await client.rpc.read(read, block=block)
    except Reverted:
        return None
    return int(value)


def changes(before: Mapping[str, int], after: Mapping[str, int]) -> list[ParameterChange]:
    """What is known of both times and differs."""
    return [
        ParameterChange(name, before[name], value)
        for name, value in after.items()
        if name in before and before[name] != value
    ]
