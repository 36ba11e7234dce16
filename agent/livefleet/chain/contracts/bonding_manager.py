"""The BondingManager: stake, the transcoder pool, rewards and fees."""

from dataclasses import dataclass
from typing import Any, Self

from livefleet.chain.abi import Event, Function
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.models import Call
from livefleet.chain.rpc import Block
from livefleet.kernel import Address, Round, Wei

__all__ = ["BondingManager", "Delegator", "Transcoder"]

GET_TRANSCODER = Function.parse(
    "getTranscoder(address transcoder) returns (uint256 lastRewardRound, uint256 rewardCut, uint256 feeShare, "
    "uint256 lastActiveStakeUpdateRound, uint256 activationRound, uint256 deactivationRound, "
    "uint256 activeCumulativeRewards, uint256 cumulativeRewards, uint256 cumulativeFees, uint256 lastFeeRound)"
)
GET_DELEGATOR = Function.parse(
    "getDelegator(address delegator) returns (uint256 bondedAmount, uint256 fees, address delegateAddress, "
    "uint256 delegatedAmount, uint256 startRound, uint256 lastClaimRound, uint256 nextUnbondingLockId)"
)
IS_ACTIVE_TRANSCODER = Function.parse("isActiveTranscoder(address transcoder) returns (bool)")
IS_REGISTERED_TRANSCODER = Function.parse("isRegisteredTranscoder(address transcoder) returns (bool)")
TRANSCODER_TOTAL_STAKE = Function.parse("transcoderTotalStake(address transcoder) returns (uint256)")
EARNINGS_POOL = Function.parse(
    "getTranscoderEarningsPoolForRound(address transcoder, uint256 round) returns (uint256 totalStake, "
    "uint256 transcoderRewardCut, uint256 transcoderFeeShare, uint256 cumulativeRewardFactor, "
    "uint256 cumulativeFeeFactor)"
)
FIRST_IN_POOL = Function.parse("getFirstTranscoderInPool() returns (address)")
NEXT_IN_POOL = Function.parse("getNextTranscoderInPool(address transcoder) returns (address)")
POOL_SIZE = Function.parse("getTranscoderPoolSize() returns (uint256)")
POOL_MAX_SIZE = Function.parse("getTranscoderPoolMaxSize() returns (uint256)")
PENDING_STAKE = Function.parse("pendingStake(address delegator, uint256 endRound) returns (uint256)")
PENDING_FEES = Function.parse("pendingFees(address delegator, uint256 endRound) returns (uint256)")
TOTAL_ACTIVE_STAKE = Function.parse("currentRoundTotalActiveStake() returns (uint256)")
TREASURY_REWARD_CUT_RATE = Function.parse("treasuryRewardCutRate() returns (uint256)")
TRANSCODER_TO_REWARD_CALLER = Function.parse("transcoderToRewardCaller(address transcoder) returns (address)")
REWARD_WITH_HINT = Function.parse("rewardWithHint(address newPosPrev, address newPosNext)")
REWARD_FOR_TRANSCODER_WITH_HINT = Function.parse(
    "rewardForTranscoderWithHint(address transcoder, address newPosPrev, address newPosNext)"
)
SET_REWARD_CALLER = Function.parse("setRewardCaller(address rewardCaller)")
BOND = Function.parse("bond(uint256 amount, address to)")
BOND_WITH_HINT = Function.parse(
    "bondWithHint(uint256 amount, address to, address oldPrev, address oldNext, address newPrev, address newNext)"
)
TRANSFER_BOND = Function.parse(
    "transferBond(address delegator, uint256 amount, address oldPrev, address oldNext, address newPrev, "
    "address newNext)"
)
TRANSCODER = Function.parse("transcoder(uint256 rewardCut, uint256 feeShare)")
WITHDRAW_FEES = Function.parse("withdrawFees(address recipient, uint256 amount)")
REWARD = Event.parse("Reward(address indexed transcoder, uint256 amount)")


@dataclass(frozen=True, slots=True)
class Transcoder:
    """An orchestrator's entry. Source: BondingManager.getTranscoder."""

    last_reward_round: Round
    reward_cut: int  # parts of 1,000,000 of the reward that the orchestrator keeps
    fee_share: int  # parts of 1,000,000 of the fees that go to delegators
    last_active_stake_update_round: Round
    activation_round: Round
    deactivation_round: int  # 2**256 - 1 while nothing ends it

    @classmethod
    def of(cls, answer: tuple[Any, ...]) -> Self:
        """What getTranscoder answered."""
        last_reward, cut, share, last_update, activation, deactivation, *_ = answer
        return cls(
            last_reward_round=Round(last_reward),
            reward_cut=cut,
            fee_share=share,
            last_active_stake_update_round=Round(last_update),
            activation_round=Round(activation),
            deactivation_round=deactivation,
        )


@dataclass(frozen=True, slots=True)
class Delegator:
    """A staker's entry; amounts as of its last claim. Source: BondingManager.getDelegator."""

    bonded_amount: int  # LPTU
    fees: Wei
    delegate_address: Address
    delegated_amount: int  # LPTU delegated to this account
    start_round: Round
    last_claim_round: Round

    @classmethod
    def of(cls, answer: tuple[Any, ...]) -> Self:
        """What getDelegator answered."""
        bonded, fees, delegate, delegated, start, last_claim, _ = answer
        return cls(
            bonded_amount=bonded,
            fees=Wei(fees),
            delegate_address=delegate,
            delegated_amount=delegated,
            start_round=Round(start),
            last_claim_round=Round(last_claim),
        )


class BondingManager(Contract):
    """Reads of the pool and of one orchestrator; the calls of its duties."""

    async def transcoder(self, address: Address, *, block: Block = "latest") -> Transcoder:
        """The entry of an orchestrator; zeroes for an address that never was one."""
        return Transcoder.of(await self.rpc.read(self.read(GET_TRANSCODER, address), block=block))

    async def delegator(self, address: Address) -> Delegator:
        """The entry of a staker."""
        return Delegator.of(await self.rpc.read(self.read(GET_DELEGATOR, address)))

    async def is_active(self, address: Address, *, block: Block = "latest") -> bool:
        """Whether the orchestrator works in the current round, initialised or not."""
        return bool(await self.ask(IS_ACTIVE_TRANSCODER, address, block=block))

    async def is_registered(self, address: Address) -> bool:
        """Whether the address is bonded to itself; says nothing of activity."""
        return bool(await self.ask(IS_REGISTERED_TRANSCODER, address))

    async def total_stake(self, address: Address) -> int:
        """LPTU of an orchestrator and its delegators, rewards included."""
        return int(await self.ask(TRANSCODER_TOTAL_STAKE, address))

    async def pool_size(self, *, block: Block = "latest") -> int:
        """Members of the pool as it stands for the next round."""
        return int(await self.ask(POOL_SIZE, block=block))

    async def pending_stake(self, address: Address) -> int:
        """A staker's LPTU up to the current round."""
        return int(await self.ask(PENDING_STAKE, address, 0))

    async def pending_fees(self, address: Address) -> Wei:
        """Wei that a staker could withdraw now."""
        return Wei(await self.ask(PENDING_FEES, address, 0))

    async def reward_caller(self, transcoder: Address) -> Address:
        """Who may call reward for an orchestrator (LIP-118). Raises where the contract is older than that."""
        caller: Address = await self.ask(TRANSCODER_TO_REWARD_CALLER, transcoder)
        return caller

    def reward_call(self, previous: Address, following: Address) -> Call:
        """The signer's own reward; `previous` and `following` are its neighbours in the pool after it."""
        return self.call(REWARD_WITH_HINT, previous, following)

    def reward_for_call(self, transcoder: Address, previous: Address, following: Address) -> Call:
        """An orchestrator's reward sent by its reward caller (LIP-118)."""
        return self.call(REWARD_FOR_TRANSCODER_WITH_HINT, transcoder, previous, following)

    def set_reward_caller_call(self, caller: Address) -> Call:
        """Let `caller` call reward for the signer; the zero address takes it back."""
        return self.call(SET_REWARD_CALLER, caller)

    def bond_call(self, amount: int, to: Address) -> Call:
        """Bond LPTU to an orchestrator; the token must be approved for this contract first."""
        return self.call(BOND, amount, to)

    def transcoder_call(self, *, reward_cut: int, fee_share: int) -> Call:
        """Set both cuts, in parts of 1,000,000."""
        return self.call(TRANSCODER, reward_cut, fee_share)

    def withdraw_fees_call(self, recipient: Address, amount: Wei) -> Call:
        """Send earned fees to `recipient`, a plain account."""
        return self.call(WITHDRAW_FEES, recipient, amount)
