"""The transcoder pool: reading it in few round trips, and where a stake stands in it.

The pool is a linked list on chain, highest stake first. One call walks it. Where an endpoint does not run
such calls, the order of the last walk is guessed again, since it changes little from round to round: all guessed links
are read in one batch and only what moved is walked link by link.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from livefleet.chain.contracts import BondingManager
from livefleet.chain.contracts.bonding_manager import FIRST_IN_POOL, NEXT_IN_POOL, TRANSCODER_TOTAL_STAKE
from livefleet.chain.errors import NodeError, Reverted
from livefleet.chain.pool_walk import MEMBER_BYTES, walk_code
from livefleet.chain.signature import checksum_address
from livefleet.kernel import ZERO_ADDRESS, Address

__all__ = ["PoolMember", "neighbours", "read_pool"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoolMember:
    """An orchestrator in the pool."""

    address: Address
    stake: int  # LPTU, own and delegated


async def read_pool(bonding: BondingManager, block: int, guess: Sequence[Address] = ()) -> tuple[PoolMember, ...]:
    """The pool at one block, in its order.

    `guess`: its members as last seen, which saves round trips where an endpoint does not walk the pool by itself.
    """
    return await _walked(bonding, block) or await _read_by_links(bonding, block, guess)


async def _walked(bonding: BondingManager, block: int) -> tuple[PoolMember, ...] | None:
    """None, or nobody, where the endpoint does not do it."""
    code = walk_code(bonding.address, FIRST_IN_POOL, NEXT_IN_POOL, TRANSCODER_TOTAL_STAKE)
    try:
        (answer,) = await bonding.rpc.batch([("eth_call", ({"data": "0x" + code.hex()}, hex(block)))], block=block)
    except (Reverted, NodeError) as error:
        log.debug("pool.not_walked", extra={"error": str(error)})
        return None
    raw = bytes.fromhex(str(answer)[2:])
    if len(raw) % MEMBER_BYTES:
        return None
    entries = [raw[start : start + MEMBER_BYTES] for start in range(0, len(raw), MEMBER_BYTES)]
    return tuple(PoolMember(checksum_address(entry[12:32]), int.from_bytes(entry[32:])) for entry in entries)


async def _read_by_links(bonding: BondingManager, block: int, guess: Sequence[Address]) -> tuple[PoolMember, ...]:
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
