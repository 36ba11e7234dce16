"""Where an orchestrator stands in the pool, and how far from falling out of it.

Source: BondingManager's pool, sorted by total stake; a full one takes a newcomer only with strictly more than its tail.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from livefleet.chain.client import ChainClient
from livefleet.chain.contracts.bonding_manager import POOL_MAX_SIZE, TRANSCODER_TOTAL_STAKE
from livefleet.chain.pool import PoolMember, read_pool
from livefleet.kernel import Address

__all__ = ["Standing", "read_standing", "standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """The pool as it stands for the next round, seen from one orchestrator. LPTU."""

    address: Address
    stake: int  # own and delegated
    rank: int | None  # 1 is the highest stake; None: not in the pool
    size: int
    max_size: int
    tail_stake: int  # of the last member; 0 in an empty pool
    ahead: tuple[PoolMember, ...]  # the nearest with more stake, nearest first
    behind: tuple[PoolMember, ...]  # likewise with less
    members: tuple[Address, ...] = ()  # all of the pool, in its order

    @property
    def full(self) -> bool:
        """Whether somebody has to go where somebody comes."""
        return self.size >= self.max_size

    @property
    def missing(self) -> int:
        """What it lacks to be in the pool; 0 inside, and where there is room."""
        return 0 if self.rank is not None or not self.full else max(0, self.tail_stake + 1 - self.stake)

    @property
    def margin(self) -> int | None:
        """What it has above the cut-off, the last place's stake; None where no place is fought for, or it has none."""
        return None if self.rank is None or not self.full else self.stake - self.tail_stake

    @property
    def places_below(self) -> int | None:
        """Members that fall out before it does, in a full pool; None as for `margin`."""
        return None if self.rank is None or not self.full else self.size - self.rank

    def is_close(self, percent: int) -> bool:
        """Whether the next newcomer pushes it out, or little of its stake is above the cut-off."""
        return self.margin is not None and (self.places_below == 0 or self.margin * 100 < self.stake * percent)


async def read_standing(client: ChainClient, address: Address, *, guess: Sequence[Address] = ()) -> Standing:
    """The standing now. `guess`: the pool's members as last seen, to save round trips. Raises Transient."""
    block = await client.rpc.block_number()
    pool = await read_pool(client.bonding, block, guess)
    (stake,), (max_size,) = await client.rpc.read_all(
        [client.bonding.read(TRANSCODER_TOTAL_STAKE, address), client.bonding.read(POOL_MAX_SIZE)], block=block
    )
    return standing(pool, address, int(stake), int(max_size))


def standing(pool: Sequence[PoolMember], address: Address, stake: int, max_size: int, *, around: int = 3) -> Standing:
    """The standing of `address`, which has `stake`, in the pool in its order. Pure."""
    rank = next((place for place, member in enumerate(pool, start=1) if member.address == address), None)
    others = [member for member in pool if member.address != address]
    above = [member for member in others if member.stake > stake]
    if rank is not None:  # among equals, the pool's own order says who stands before
        above = list(pool[: rank - 1])
    below = others[len(above) :]
    return Standing(
        address=address,
        stake=stake,
        rank=rank,
        size=len(pool),
        max_size=max_size,
        tail_stake=pool[-1].stake if pool else 0,
        ahead=tuple(above[::-1][:around]),
        behind=tuple(below[:around]),
        members=tuple(member.address for member in pool),
    )
