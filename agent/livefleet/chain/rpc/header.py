"""A block's header, as far as anybody here cares."""

from dataclasses import dataclass
from typing import Any, Self

from livefleet.chain.errors import NodeError
from livefleet.kernel import BlockNumber, Wei

__all__ = ["Header"]


@dataclass(frozen=True, slots=True)
class Header:
    """Source: eth_getBlockByNumber."""

    number: int  # the node's own (L2)
    hash: bytes
    parent_hash: bytes
    timestamp: int  # unix seconds by the chain's clock
    base_fee: Wei | None  # None: a chain before EIP-1559
    l1_block: BlockNumber | None  # `l1BlockNumber`, which Arbitrum's nodes add

    @classmethod
    def parse(cls, raw: Any) -> Self:
        """Raises NodeError where it is none."""
        try:
            base_fee, l1_block = raw.get("baseFeePerGas"), raw.get("l1BlockNumber")
            return cls(
                number=int(raw["number"], 16),
                hash=bytes.fromhex(raw["hash"][2:]),
                parent_hash=bytes.fromhex(raw["parentHash"][2:]),
                timestamp=int(raw["timestamp"], 16),
                base_fee=None if base_fee is None else Wei(int(base_fee, 16)),
                l1_block=None if l1_block is None else BlockNumber(int(l1_block, 16)),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise NodeError(f"an answer of eth_getBlockByNumber that is no block: {str(raw)[:200]}") from error
