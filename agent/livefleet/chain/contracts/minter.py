"""The Minter: how much a round's rewards are."""

from livefleet.chain.abi import Function
from livefleet.chain.contracts.contract import Contract

__all__ = ["Minter"]

CURRENT_MINTABLE_TOKENS = Function.parse("currentMintableTokens() returns (uint256)")


class Minter(Contract):
    """Holds all staked LPT and all deposited ETH."""

    async def current_mintable_tokens(self) -> int:
        """LPTU that the current round's rewards add up to."""
        return int(await self.ask(CURRENT_MINTABLE_TOKENS))
