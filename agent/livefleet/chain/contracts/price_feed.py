"""A price feed with Chainlink's interface (AggregatorV3Interface)."""

from livefleet.chain.abi import Function
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.models import FeedAnswer

__all__ = ["PriceFeed"]

LATEST_ROUND_DATA = Function.parse(
    "latestRoundData() returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, "
    "uint80 answeredInRound)"
)
DECIMALS = Function.parse("decimals() returns (uint8)")
DESCRIPTION = Function.parse("description() returns (string)")


class PriceFeed(Contract):
    """What one currency is worth in another."""

    async def latest(self) -> FeedAnswer:
        """The newest answer, in one round trip, unchecked. Raises Reverted where there never was one."""
        (description,), (decimals,), (_, answer, _, updated_at, _) = await self.rpc.read_all(
            [self.read(DESCRIPTION), self.read(DECIMALS), self.read(LATEST_ROUND_DATA)]
        )
        return FeedAnswer(description=description, decimals=decimals, answer=answer, updated_at=updated_at)
