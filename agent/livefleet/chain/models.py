"""What is read from the chain and what is sent to it."""

from dataclasses import dataclass

from livefleet.kernel import Address, BlockNumber, Round, Wei

__all__ = ["Call", "ChainHead", "FeedAnswer", "SenderInfo", "SpendLimit", "TransactionOutcome"]


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The chain as last seen by the one watcher that all duties share."""

    l1_block: BlockNumber  # RoundsManager.blockNum(): what ticket expiry counts
    current_round: Round  # by time, initialised or not
    last_initialized_round: Round
    round_block_hash: bytes  # 32 bytes, blockHashForRound(last_initialized_round); may be all zeroes
    previous_round_block_hash: bytes  # of last_initialized_round - 1
    pool_size: int  # members of the transcoder pool
    gas_price: Wei  # wei per gas: the block's base fee; the node's word where the chain has none
    seen_at: float  # unix seconds
    block: int = 0  # the node's own (L2) number of the block that this was read at
    block_hash: bytes = b""  # 32 bytes
    round_start_block: BlockNumber = BlockNumber(0)  # L1 block at which current_round began
    round_length: int = 0  # L1 blocks; 0 while not known
    round_lock_blocks: int = 0  # the last L1 blocks of a round, in which cuts cannot be set

    @property
    def round_is_initialized(self) -> bool:
        """Whether staking, reward and redemption calls are possible now."""
        return self.current_round == self.last_initialized_round

    @property
    def round_end_block(self) -> BlockNumber:
        """The first L1 block of the next round."""
        return BlockNumber(self.round_start_block + self.round_length)

    @property
    def blocks_left_in_round(self) -> int:
        """L1 blocks until the next round; a view that nobody refreshed may say less than none."""
        return self.round_end_block - self.l1_block

    @property
    def round_is_locked(self) -> bool:
        """Whether the round's end is so near that cuts cannot be set."""
        return self.blocks_left_in_round <= self.round_lock_blocks


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """A gateway's funds in the TicketBroker (getSenderInfo, claimedReserve)."""

    deposit: Wei
    withdraw_round: Round  # 0: no unlock requested
    reserve_remaining: Wei
    reserve_claimed_in_round: Wei  # by everybody
    reserve_claimed_by_recipient: Wei  # claimedReserve(sender, recipient)


@dataclass(frozen=True, slots=True)
class FeedAnswer:
    """What a price feed says, unchecked. Source: AggregatorV3Interface."""

    description: str  # `BASE / QUOTE`: one BASE is worth answer / 10**decimals QUOTE
    decimals: int
    answer: int  # may be zero or negative
    updated_at: int  # unix seconds by the chain's clock; 0: never


@dataclass(frozen=True, slots=True)
class Call:
    """One contract call, encoded."""

    to: Address
    data: bytes
    value: Wei = Wei(0)


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """What one transaction may cost, its value not counted; 0 means no limit."""

    max_gas_price: Wei = Wei(0)  # wei per gas
    max_cost: Wei = Wei(0)  # wei for the whole transaction: gas limit times price

    def price_ceiling(self, gas: int) -> Wei | None:
        """Wei per gas that a transaction with this gas limit may offer; None: any."""
        limits = [self.max_gas_price] if self.max_gas_price else []
        if self.max_cost:
            limits.append(Wei(self.max_cost // gas))
        return min(limits, default=None)


@dataclass(frozen=True, slots=True)
class TransactionOutcome:
    """A mined transaction."""

    tx_hash: bytes
    succeeded: bool  # receipt status 1
    gas_used: int
    effective_gas_price: Wei
    block_number: int
    logs: tuple[tuple[Address, tuple[bytes, ...], bytes], ...]  # (address, topics, data)
