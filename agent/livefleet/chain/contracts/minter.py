"""The Minter: how much a round's rewards are."""

from livefleet.chain.abi import Event, Function
from livefleet.chain.contracts.contract import Contract

__all__ = ["Minter"]

CURRENT_MINTABLE_TOKENS = Function.parse("currentMintableTokens() returns (uint256)")
CURRENT_MINTED_TOKENS = Function.parse("currentMintedTokens() returns (uint256)")
INFLATION = Function.parse("inflation() returns (uint256)")
INFLATION_CHANGE = Function.parse("inflationChange() returns (uint256)")
TARGET_BONDING_RATE = Function.parse("targetBondingRate() returns (uint256)")
GLOBAL_TOTAL_SUPPLY = Function.parse("getGlobalTotalSupply() returns (uint256)")
SET_CURRENT_REWARD_TOKENS = Event.parse(
    "SetCurrentRewardTokens(uint256 currentMintableTokens, uint256 currentInflation)"
)


class Minter(Contract):
    """Holds all staked LPT and all deposited ETH. Its rates are in parts of 1,000,000,000."""

    async def current_mintable_tokens(self) -> int:
        """LPTU that the current round's rewards add up to."""
        return int(await self.ask(CURRENT_MINTABLE_TOKENS))
