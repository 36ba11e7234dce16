"""What the chain says of our accounts at one block, and whether an endpoint still knows that block.

Endpoints that are no archive forget the state of older blocks; what they answer then is told apart here from other
trouble, since it never gets better by waiting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from livefleet.chain import ChainClient, Rpc
from livefleet.chain.abi import Function
from livefleet.chain.rpc import Read
from livefleet.kernel import Address, Transient
from livefleet.ledger.accounts import Account, AccountKind, Currency, wallet
from livefleet.ledger.file import Balances
from livefleet.ledger.parties import Parties

__all__ = ["PAST_FORGOTTEN", "Shares", "State", "eth_at", "forgets_past", "read_shares", "read_state", "read_wallets"]

PENDING_FEES = Function.parse("pendingFees(address delegator, uint256 endRound) returns (uint256)")
PENDING_STAKE = Function.parse("pendingStake(address delegator, uint256 endRound) returns (uint256)")
TOTAL_STAKE = Function.parse("transcoderTotalStake(address transcoder) returns (uint256)")
GET_DELEGATOR = Function.parse(
    "getDelegator(address delegator) returns (uint256 bondedAmount, uint256 fees, address delegateAddress, "
    "uint256 delegatedAmount, uint256 startRound, uint256 lastClaimRound, uint256 nextUnbondingLockId)"
)
UNBONDING_LOCK = Function.parse(
    "getDelegatorUnbondingLock(address delegator, uint256 unbondingLockId) returns (uint256 amount, "
    "uint256 withdrawRound)"
)
BALANCE_OF = Function.parse("balanceOf(address account) returns (uint256)")

_LOCK_LIMIT = 2000
_FORGOTTEN = (
    "missing trie node", "header not found", "historical state", "state is not available", "state not available",
    "state unavailable", "pruned", "archive", "required historical", "block not found", "unknown block",
    "blockoutofrange",
)  # fmt: skip
PAST_FORGOTTEN = "the endpoints no longer know the state of that block; an archive endpoint does"


@dataclass(frozen=True, slots=True)
class Shares:
    """What the orchestrator itself has earned, as contracts count it, at one block."""

    fees: int  # wei, pendingFees
    stake: int  # LPTU, pendingStake
    delegated_to: Address  # whose delegator it is; itself where it works


@dataclass(frozen=True, slots=True)
class State:
    """Every balance that the books have to meet."""

    balances: Balances
    self_delegated: bool


def forgets_past(error: Transient) -> bool:
    """Whether an endpoint refused because it keeps no state that old."""
    text = str(error).lower()
    return any(sign in text for sign in _FORGOTTEN)


async def read_state(client: ChainClient, parties: Parties, block: int) -> State:
    """All our balances at `block`. Raises Transient; see `forgets_past`."""
    us = parties.orchestrator
    reads = [
        (Read(client.bonding.address, TOTAL_STAKE, (us,)), block),
        (Read(client.bonding.address, GET_DELEGATOR, (us,)), block),
    ]
    (total,), delegator = await _read(client.rpc, reads)
    (shares,) = await read_shares(client, us, [block])
    locks = await _unbonding(client, us, block, int(delegator[6]))
    self_delegated = shares.delegated_to == us
    found = await read_wallets(client, parties.wallets, block)
    found[Account(AccountKind.FEES), Currency.ETH] = shares.fees
    found[Account(AccountKind.STAKE), Currency.LPT] = shares.stake
    found[Account(AccountKind.UNBONDING), Currency.LPT] = locks
    found[Account(AccountKind.POOL), Currency.LPT] = int(total) - (shares.stake if self_delegated else 0)
    return State(found, self_delegated)


async def read_wallets(
    client: ChainClient, addresses: Sequence[Address], block: int
) -> dict[tuple[Account, Currency], int]:
    """Wei and LPTU of addresses at a block. Raises Transient; see `forgets_past`."""
    eth = await eth_at(client.rpc, [(address, block) for address in addresses])
    reads = [(Read(client.token.address, BALANCE_OF, (address,)), block) for address in addresses]
    lpt = await _read(client.rpc, reads)
    found = {(wallet(address), Currency.ETH): amount for address, amount in zip(addresses, eth, strict=True)}
    return found | {(wallet(a), Currency.LPT): int(amount) for a, (amount,) in zip(addresses, lpt, strict=True)}


async def read_shares(client: ChainClient, orchestrator: Address, blocks: Sequence[int]) -> list[Shares]:
    """The orchestrator's own part at each of `blocks`, in few requests. Raises Transient; see `forgets_past`."""
    reads = [
        (Read(client.bonding.address, function, args), block)
        for block in blocks
        for function, args in (
            (PENDING_FEES, (orchestrator, 0)),
            (PENDING_STAKE, (orchestrator, 0)),
            (GET_DELEGATOR, (orchestrator,)),
        )
    ]
    answers = await _read(client.rpc, reads)
    return [
        Shares(fees=int(fees[0]), stake=int(stake[0]), delegated_to=delegator[2])
        for fees, stake, delegator in zip(answers[::3], answers[1::3], answers[2::3], strict=True)
    ]


async def eth_at(rpc: Rpc, places: Sequence[tuple[Address, int]]) -> list[int]:
    """Wei of addresses at blocks. Raises Transient; see `forgets_past`."""
    answers = await rpc.batch([("eth_getBalance", (address, hex(block))) for address, block in places])
    return [int(answer, 16) for answer in answers]


async def _unbonding(client: ChainClient, orchestrator: Address, block: int, locks: int) -> int:
    first = max(0, locks - _LOCK_LIMIT)
    reads = [
        (Read(client.bonding.address, UNBONDING_LOCK, (orchestrator, lock)), block) for lock in range(first, locks)
    ]
    return sum(int(amount) for amount, _ in await _read(client.rpc, reads))


async def _read(rpc: Rpc, reads: Sequence[tuple[Read, int]]) -> list[tuple[Any, ...]]:
    if not reads:
        return []
    answers = await rpc.batch(
        [
            ("eth_call", ({"to": read.to, "data": "0x" + read.function.encode(*read.args).hex()}, hex(block)))
            for read, block in reads
        ]
    )
    return [read.function.decode(bytes.fromhex(answer[2:])) for (read, _), answer in zip(reads, answers, strict=True)]
