"""The transcoder pool: reading it in few round trips, and where a stake stands in it.

The pool is a linked list on chain, highest stake first. Its order changes little from round to round, so the order of
the last walk is guessed again: all guessed links are read in one batch and only what moved is walked link by link.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from livefleet.chain.contracts import BondingManager
from livefleet.chain.contracts.bonding_manager import FIRST_IN_POOL, NEXT_IN_POOL, TRANSCODER_TOTAL_STAKE
from livefleet.kernel import ZERO_ADDRESS, Address

__all__ = ["PoolMember", "neighbours", "read_pool"]


@dataclass(frozen=True, slots=True)
class PoolMember:
    """An orchestrator in the pool."""

    address: Address
    stake: int  # LPTU, own and delegated


async def read_pool(bonding: BondingManager, block: int, guess: Sequence[Address] = ()) -> tuple[PoolMember, ...]:
    """The pool at one block, in its order. `guess`: its members as last seen, to save round trips."""
    reads = [bonding.read(FIRST_IN_POOL), *(bonding.read(NEXT_IN_POOL, address) for address in guess)]
    (first,), *followers = await bonding.rpc.read_all(reads, block=block)
    following: dict[Address, Address] = {address: answer[0] for address, answer in zip(guess, followers, strict=True)}
    order: list[Address] = []
    member: Address = first
    while member != ZERO_ADDRESS:
        order.append(member)
        if member not in following:
            (following[member],) = await bonding.rpc.read(bonding.read(NEXT_IN_POOL, member), block=block)
        member = following[member]
    stakes = await bonding.rpc.read_all(
        [bonding.read(TRANSCODER_TOTAL_STAKE, address) for address in order], block=block
    )
    return tuple(PoolMember(address, stake) for address, (stake,) in zip(order, stakes, strict=True))


def neighbours(pool: Sequence[PoolMember], address: Address, stake: int, max_size: int) -> tuple[Address, Address]:
    """Who stands before and after `address` once it has `stake`: the hints that save the contract's own search.

    The zero address stands for the ends, and for both where a full pool has no place for this stake. Pure.
    """
    others = [member for member in pool if member.address != address]
    if len(others) == len(pool) >= max_size:
        if not others or others[-1].stake >= stake:
            return ZERO_ADDRESS, ZERO_ADDRESS
        others = others[:-1]
    ahead = [member for member in others if member.stake >= stake]
    behind = others[len(ahead) :]
    return ahead[-1].address if ahead else ZERO_ADDRESS, behind[0].address if behind else ZERO_ADDRESS
