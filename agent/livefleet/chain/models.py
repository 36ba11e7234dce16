"""What is read from the chain and what is sent to it."""

from dataclasses import dataclass

from livefleet.kernel import Address, BlockNumber, Round, Wei

__all__ = ["Call", "ChainHead", "FeedAnswer", "SenderInfo", "TransactionOutcome"]


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The chain as last seen by the one watcher that all duties share."""

    l1_block: BlockNumber  # RoundsManager.blockNum(): what ticket expiry counts
    current_round: Round  # by time, initialised or not
    last_initialized_round: Round
    round_block_hash: bytes  # 32 bytes, blockHashForRound(last_initialized_round); may be all zeroes
    previous_round_block_hash: bytes  # of last_initialized_round - 1
    pool_size: int  # members of the transcoder pool
    gas_price: Wei  # wei per gas
    seen_at: float  # unix seconds

    @property
    def round_is_initialized(self) -> bool:
        """Whether staking, reward and redemption calls are possible now."""
        return self.current_round == self.last_initialized_round


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
class TransactionOutcome:
    """A mined transaction."""

    tx_hash: bytes
    succeeded: bool  # receipt status 1
    gas_used: int
    effective_gas_price: Wei
    block_number: int
    logs: tuple[tuple[Address, tuple[bytes, ...], bytes], ...]  # (address, topics, data)
