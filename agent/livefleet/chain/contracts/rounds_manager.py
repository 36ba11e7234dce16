"""The RoundsManager: the protocol's clock, in L1 blocks."""

from livefleet.chain.abi import Event, Function
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.models import Call
from livefleet.chain.rpc import Block
from livefleet.kernel import BlockNumber, Round

__all__ = ["RoundsManager"]

BLOCK_NUM = Function.parse("blockNum() returns (uint256)")
CURRENT_ROUND = Function.parse("currentRound() returns (uint256)")
CURRENT_ROUND_INITIALIZED = Function.parse("currentRoundInitialized() returns (bool)")
CURRENT_ROUND_LOCKED = Function.parse("currentRoundLocked() returns (bool)")
CURRENT_ROUND_START_BLOCK = Function.parse("currentRoundStartBlock() returns (uint256)")
LAST_INITIALIZED_ROUND = Function.parse("lastInitializedRound() returns (uint256)")
BLOCK_HASH_FOR_ROUND = Function.parse("blockHashForRound(uint256 round) returns (bytes32)")
ROUND_LENGTH = Function.parse("roundLength() returns (uint256)")
ROUND_LOCK_AMOUNT = Function.parse("roundLockAmount() returns (uint256)")
INITIALIZE_ROUND = Function.parse("initializeRound()")
NEW_ROUND = Event.parse("NewRound(uint256 indexed round, bytes32 blockHash)")


class RoundsManager(Contract):
    """Rounds by time (`current_round`) and rounds by fact (`last_initialized_round`)."""

    async def block_num(self, *, block: Block = "latest") -> BlockNumber:
        """The L1 block number as contracts see it."""
        return BlockNumber(await self.ask(BLOCK_NUM, block=block))

    async def current_round(self, *, block: Block = "latest") -> Round:
        """The round by time, initialised or not."""
        return Round(await self.ask(CURRENT_ROUND, block=block))

    async def last_initialized_round(self, *, block: Block = "latest") -> Round:
        """The last round that somebody initialised."""
        return Round(await self.ask(LAST_INITIALIZED_ROUND, block=block))

    async def current_round_initialized(self) -> bool:
        """Whether staking, reward and redemption calls are possible now."""
        return bool(await self.ask(CURRENT_ROUND_INITIALIZED))

    async def current_round_locked(self) -> bool:
        """Whether the round is in its lock period, when cuts cannot be set."""
        return bool(await self.ask(CURRENT_ROUND_LOCKED))

    async def current_round_start_block(self) -> BlockNumber:
        """The L1 block at which the current round began."""
        return BlockNumber(await self.ask(CURRENT_ROUND_START_BLOCK))

    async def block_hash_for_round(self, round_: Round) -> bytes:
        """32 bytes; zeroes for a round that was never initialised, and at times on Arbitrum for one that was."""
        return bytes(await self.ask(BLOCK_HASH_FOR_ROUND, round_))

    async def round_length(self) -> int:
        """L1 blocks in a round; governance may change it."""
        return int(await self.ask(ROUND_LENGTH))

    async def round_lock_amount(self) -> int:
        """The locked share of a round, in parts of 1,000,000."""
        return int(await self.ask(ROUND_LOCK_AMOUNT))

    def initialize_round_call(self) -> Call:
        """Initialise the current round; reverts `round already initialized` for all but the first."""
        return self.call(INITIALIZE_ROUND)
