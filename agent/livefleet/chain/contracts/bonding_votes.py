"""BondingVotes: what stake an account votes with, by round."""

from livefleet.chain.abi import Function
from livefleet.chain.contracts.contract import Contract
from livefleet.kernel import Address, Round

__all__ = ["BondingVotes"]

GET_VOTES = Function.parse("getVotes(address account) returns (uint256)")
GET_PAST_VOTES = Function.parse("getPastVotes(address account, uint256 round) returns (uint256)")
GET_PAST_TOTAL_SUPPLY = Function.parse("getPastTotalSupply(uint256 round) returns (uint256)")
DELEGATES = Function.parse("delegates(address account) returns (address)")
DELEGATED_AT = Function.parse("delegatedAt(address account, uint256 round) returns (address)")
CLOCK = Function.parse("clock() returns (uint48)")
CLOCK_MODE = Function.parse("CLOCK_MODE() returns (string)")
HAS_CHECKPOINT = Function.parse("hasCheckpoint(address account) returns (bool)")


class BondingVotes(Contract):
    """Votes in LPTU. An orchestrator has those of all stake delegated to it, a delegator those of its own.

    Stake that changes in a round counts from the next one on. An account that did not touch its stake since
    October 2023 has none until somebody calls `BondingManager.checkpointBondingState` for it.
    """

    async def votes(self, account: Address) -> int:
        """What the account would vote with from the next round on."""
        return int(await self.ask(GET_VOTES, account))

    async def past_votes(self, account: Address, round_: Round) -> int:
        """What the account votes with where `round_` is the snapshot. Raises Reverted unless that round is over."""
        return int(await self.ask(GET_PAST_VOTES, account, round_))

    async def past_total(self, round_: Round) -> int:
        """All active stake at the snapshot `round_`, which a quorum is a share of. Raises Reverted as `past_votes`."""
        return int(await self.ask(GET_PAST_TOTAL_SUPPLY, round_))

    async def delegate(self, account: Address) -> Address:
        """Whom the account delegates to; itself where it is an orchestrator."""
        found: Address = await self.ask(DELEGATES, account)
        return found

    async def clock(self) -> Round:
        """The current round, which moves with time even where nobody initialises rounds."""
        return Round(await self.ask(CLOCK))

    async def has_checkpoint(self, account: Address) -> bool:
        """Whether anything is known of the account's stake."""
        return bool(await self.ask(HAS_CHECKPOINT, account))
