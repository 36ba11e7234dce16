"""From a block's header to what the protocol says at that block, reading contracts only where something may differ.

Between two rounds' beginnings a header says all: its L1 block, its base fee. The rest is read anew when a round is due,
and every half hour; of a round that nobody initialised yet, only whether somebody has. While senders ride along, they
and the pool's size are read with each L1 block.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from livefleet.chain.client import ChainClient
from livefleet.chain.contracts.bonding_manager import POOL_SIZE
from livefleet.chain.contracts.rounds_manager import (
    BLOCK_HASH_FOR_ROUND,
    BLOCK_NUM,
    CURRENT_ROUND,
    CURRENT_ROUND_START_BLOCK,
    LAST_INITIALIZED_ROUND,
    ROUND_LENGTH,
    ROUND_LOCK_AMOUNT,
)
from livefleet.chain.models import ChainHead
from livefleet.chain.riders import Riders
from livefleet.chain.rpc import Header, Read
from livefleet.kernel import BlockNumber, Clock, Round, Wei

__all__ = ["HeadReader", "L1Source"]

_FULL_EVERY_S = 1800.0
_PARTS = 1_000_000


class L1Source(StrEnum):
    """Where the L1 block number comes from; `RoundsManager.blockNum()` is the truth that the others are held to."""

    HEADER = "l1BlockNumber of the header"
    BLOCK = "the block's own number"  # a plain EVM chain
    CONTRACT = "RoundsManager.blockNum()"


@dataclass(frozen=True, slots=True)
class _Facts:
    """What contracts said at the last full reading."""

    head: ChainHead
    source: L1Source
    read_at: float  # monotonic seconds


class HeadReader:
    """Reads heads in their order. One event loop's property."""

    def __init__(self, client: ChainClient, riders: Riders, clock: Clock) -> None:
        self._client = client
        self._riders = riders
        self._clock = clock
        self._facts: _Facts | None = None

    def forget(self) -> None:
        """Read everything again: the blocks that it was read from are part of the chain no more."""
        self._facts = None

    async def read(self, header: Header, *, thoroughly: bool = False) -> ChainHead:
        """The head at that block. Raises Transient, NodeError."""
        facts = None if thoroughly else self._facts
        if facts is None:
            return await self._read_contracts(header)
        if header.number == facts.head.block:
            return self._with(facts.head, header, facts.head.l1_block, await self._gas_price(header))
        l1_block = await self._l1_block(header, facts.source)
        old = self._clock.monotonic() - facts.read_at >= _FULL_EVERY_S
        due = l1_block >= facts.head.round_end_block or await self._was_initialized(facts.head, header.number)
        if old or due:
            return await self._read_contracts(header)
        head = self._with(facts.head, header, l1_block, await self._gas_price(header))
        if l1_block == facts.head.l1_block:
            return head
        if self._riders.are_aboard:
            head = replace(head, pool_size=await self._take_along(header))
            self._facts = replace(facts, head=head)
        else:
            self._riders.forget_strangers()
        return head

    async def _read_contracts(self, header: Header) -> ChainHead:
        rounds, bonding = self._client.rounds, self._client.bonding
        before = self._facts.head if self._facts is not None else None
        fixed = [
            rounds.read(BLOCK_NUM),
            rounds.read(CURRENT_ROUND),
            rounds.read(LAST_INITIALIZED_ROUND),
            rounds.read(CURRENT_ROUND_START_BLOCK),
            rounds.read(ROUND_LENGTH),
            bonding.read(POOL_SIZE),
        ]
        ride = self._riders.board()
        self._riders.forget_strangers()
        answers = await self._client.rpc.read_all([*fixed, *ride.reads], block=header.number)
        (l1_block,), (current,), (initialized,), (start,), (length,), (pool_size,) = answers[: len(fixed)]
        if before is not None and (before.current_round, before.last_initialized_round) == (current, initialized):
            hashes = before.round_block_hash, before.previous_round_block_hash
            locked = before.round_lock_blocks if before.round_length == length else None
        else:
            hashes, locked = await self._hashes(Round(initialized), header.number), None
        if locked is None:
            ((amount,),) = await self._client.rpc.read_all([rounds.read(ROUND_LOCK_AMOUNT)], block=header.number)
            locked = length * amount // _PARTS
        head = ChainHead(
            l1_block=BlockNumber(l1_block),
            current_round=Round(current),
            last_initialized_round=Round(initialized),
            round_block_hash=hashes[0],
            previous_round_block_hash=hashes[1],
            pool_size=pool_size,
            gas_price=await self._gas_price(header),
            seen_at=self._clock.now(),
            block=header.number,
            block_hash=header.hash,
            round_start_block=BlockNumber(start),
            round_length=length,
            round_lock_blocks=locked,
        )
        self._riders.alight(ride, answers[len(fixed) :])
        self._facts = _Facts(head, _source(header, l1_block), self._clock.monotonic())
        return head

    async def _take_along(self, header: Header) -> int:
        """Read who rides along again, and how many share each reserve."""
        ride = self._riders.board()
        self._riders.forget_strangers()
        reads = [self._client.bonding.read(POOL_SIZE), *ride.reads]
        (pool_size,), *answers = await self._client.rpc.read_all(reads, block=header.number)
        self._riders.alight(ride, answers)
        return int(pool_size)

    async def _was_initialized(self, head: ChainHead, block: int) -> bool:
        """Whether somebody has initialised the round that nobody had."""
        if head.round_is_initialized:
            return False
        return await self._client.rounds.last_initialized_round(block=block) != head.last_initialized_round

    async def _hashes(self, initialized: Round, block: int) -> tuple[bytes, bytes]:
        wanted = (initialized, max(initialized - 1, 0))
        reads: list[Read] = [self._client.rounds.read(BLOCK_HASH_FOR_ROUND, number) for number in wanted]
        (this,), (previous,) = await self._client.rpc.read_all(reads, block=block)
        return bytes(this), bytes(previous)

    async def _l1_block(self, header: Header, source: L1Source) -> BlockNumber:
        if source is L1Source.BLOCK and header.l1_block is None:
            return BlockNumber(header.number)
        if source is L1Source.HEADER and header.l1_block is not None:
            return header.l1_block
        return await self._client.rounds.block_num(block=header.number)

    async def _gas_price(self, header: Header) -> Wei:
        if header.base_fee is not None:
            return header.base_fee
        raw: Any = await self._client.rpc.request("eth_gasPrice")
        return Wei(int(raw, 16))

    def _with(self, head: ChainHead, header: Header, l1_block: BlockNumber, gas_price: Wei) -> ChainHead:
        """The same round, at a later block."""
        return replace(
            head,
            l1_block=l1_block,
            gas_price=gas_price,
            seen_at=self._clock.now(),
            block=header.number,
            block_hash=header.hash,
        )


def _source(header: Header, l1_block: int) -> L1Source:
    if header.l1_block is not None:
        return L1Source.HEADER if header.l1_block == l1_block else L1Source.CONTRACT
    return L1Source.BLOCK if header.number == l1_block else L1Source.CONTRACT
