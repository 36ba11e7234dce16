"""The Treasury: a timelock without delay that holds LPT and ETH and does what the governor decided."""

from livefleet.chain.abi import Function
from livefleet.chain.contracts.contract import Contract

__all__ = ["Treasury"]

GET_MIN_DELAY = Function.parse("getMinDelay() returns (uint256)")


class Treasury(Contract):
    """Its balances are those of its address."""

    async def min_delay_s(self) -> int:
        """Seconds between a proposal being queued and its execution."""
        return int(await self.ask(GET_MIN_DELAY))
