"""The reward call: once in each round in which the orchestrator is active.

Decided from what the chain says (`lastRewardRound < currentRound`), never from memory of having called, and looked at
again on a timer, so that one failed transaction does not lose the round. Source: BondingManager, LIP-118.
"""

import asyncio
import logging
import random
from dataclasses import dataclass
from enum import Enum, auto

from livefleet.chain.client import ChainClient
from livefleet.chain.contracts.bonding_manager import (
    EARNINGS_POOL,
    GET_TRANSCODER,
    IS_ACTIVE_TRANSCODER,
    POOL_MAX_SIZE,
    TOTAL_ACTIVE_STAKE,
    TRANSCODER_TOTAL_STAKE,
    TREASURY_REWARD_CUT_RATE,
)
from livefleet.chain.contracts.controller import PAUSED
from livefleet.chain.contracts.minter import CURRENT_MINTABLE_TOKENS
from livefleet.chain.contracts.rounds_manager import CURRENT_ROUND, LAST_INITIALIZED_ROUND
from livefleet.chain.errors import Reverted
from livefleet.chain.models import TransactionOutcome
from livefleet.chain.pool import neighbours, read_pool
from livefleet.chain.transactions import Transactions
from livefleet.kernel import Address, Round, Wei

__all__ = ["RewardDuty", "RewardObserved", "RewardPlan", "RewardStep", "expected_reward", "should_call_reward"]

log = logging.getLogger(__name__)

_PERC = 10**9  # the Minter's fractions
_PRECISE = 10**27  # the treasury cut's
_ALREADY_CALLED = "caller has already called reward for the current round"
_ALREADY_INITIALIZED = "round already initialized"


class RewardStep(Enum):
    """What is to be done now."""

    NOTHING = auto()
    INITIALIZE_ROUND = auto()
    CALL_REWARD = auto()


@dataclass(frozen=True, slots=True)
class RewardObserved:
    """What the decision rests on, all of one block."""

    current_round: Round
    last_initialized_round: Round
    last_reward_round: Round
    active: bool
    paused: bool


@dataclass(frozen=True, slots=True)
class RewardPlan:
    """The step, the round it is for, why, and when to look again at the latest."""

    step: RewardStep
    round: Round
    reason: str  # CamelCase word for machines
    message: str
    again_after_s: float


def should_call_reward(observed: RewardObserved) -> bool:
    """Whether a reward call would succeed and was not made yet this round. Pure."""
    return (
        not observed.paused
        and observed.active
        and observed.current_round == observed.last_initialized_round
        and observed.last_reward_round < observed.current_round
    )


def expected_reward(*, mintable: int, stake: int, total_active_stake: int, treasury_cut: int) -> tuple[int, int]:
    """LPTU that a reward call mints for the orchestrator's pool and for the treasury, rounded as on chain. Pure."""
    if total_active_stake == 0:
        return 0, 0
    minted = mintable * (stake * _PERC // total_active_stake) // _PERC
    treasury = minted * treasury_cut // _PRECISE
    return minted - treasury, treasury


class RewardDuty:
    """Keeps one orchestrator's reward called; `observe`, `plan` and `apply` are the reconcile loop's three steps.

    The signer of `transactions` is the orchestrator itself or the reward caller that it set.
    """

    def __init__(
        self,
        client: ChainClient,
        transactions: Transactions,
        orchestrator: Address,
        *,
        initialize_rounds: bool = False,
        max_gas_price: Wei = Wei(0),
        initialize_within_s: float = 30.0,
        rng: random.Random | None = None,
    ) -> None:
        self._client = client
        self._transactions = transactions
        self._orchestrator = orchestrator
        self._initialize_rounds = initialize_rounds
        self._max_gas_price = max_gas_price
        self._initialize_within_s = initialize_within_s
        self._rng = rng or random.Random()
        self._last_order: tuple[Address, ...] = ()  # only a guess that saves reads

    async def observe(self) -> RewardObserved:
        """Read what `plan` needs, at one block."""
        client, block = self._client, await self._client.rpc.block_number()
        (current,), (initialized,), transcoder, (active,), (paused,) = await client.rpc.read_all(
            [
                client.rounds.read(CURRENT_ROUND),
                client.rounds.read(LAST_INITIALIZED_ROUND),
                client.bonding.read(GET_TRANSCODER, self._orchestrator),
                client.bonding.read(IS_ACTIVE_TRANSCODER, self._orchestrator),
                client.controller.read(PAUSED),
            ],
            block=block,
        )
        return RewardObserved(
            current_round=Round(current),
            last_initialized_round=Round(initialized),
            last_reward_round=Round(transcoder[0]),
            active=active,
            paused=paused,
        )

    def plan(self, observed: RewardObserved) -> RewardPlan:
        """What to do now. Pure."""
        number = observed.current_round
        if observed.paused:
            return RewardPlan(RewardStep.NOTHING, number, "Paused", "the protocol is paused", 60.0)
        if observed.last_initialized_round < number:
            if self._initialize_rounds:
                text = f"round {number} is not initialised; initialising it"
                return RewardPlan(RewardStep.INITIALIZE_ROUND, number, "InitializingRound", text, 5.0)
            text = f"round {number} is not initialised yet; nobody can call reward until somebody does"
            return RewardPlan(RewardStep.NOTHING, number, "RoundNotInitialized", text, 30.0)
        if not observed.active:
            return RewardPlan(RewardStep.NOTHING, number, "NotActive", f"not active in round {number}", 60.0)
        if should_call_reward(observed):
            return RewardPlan(RewardStep.CALL_REWARD, number, "CallingReward", f"calling reward in {number}", 5.0)
        return RewardPlan(RewardStep.NOTHING, number, "Called", f"reward was called in round {number}", 60.0)

    async def apply(self, plan: RewardPlan) -> TransactionOutcome | None:
        """Take the plan's step; None where there was none to take or somebody else took it."""
        match plan.step:
            case RewardStep.NOTHING:
                return None
            case RewardStep.INITIALIZE_ROUND:
                return await self._initialize(plan.round)
            case RewardStep.CALL_REWARD:
                return await self.call_reward(plan.round)

    async def call_reward(self, round_: Round) -> TransactionOutcome | None:
        """Call reward with exact hints; None where it was called already."""
        previous, following = await self._hints(round_)
        bonding = self._client.bonding
        if self._transactions.address == self._orchestrator:
            call = bonding.reward_call(previous, following)
        else:
            call = bonding.reward_for_call(self._orchestrator, previous, following)
        try:
            outcome = await self._transactions.send(
                f"reward {self._orchestrator} round {round_}", call, max_gas_price=self._max_gas_price
            )
        except Reverted as error:
            if error.reason == _ALREADY_CALLED:
                return None
            raise
        log.info(
            "reward.called",
            extra={"round": round_, "tx": "0x" + outcome.tx_hash.hex(), "succeeded": outcome.succeeded},
        )
        return outcome

    async def _initialize(self, round_: Round) -> TransactionOutcome | None:
        await asyncio.sleep(self._rng.uniform(0, self._initialize_within_s))
        if await self._client.rounds.last_initialized_round() >= round_:
            return None
        try:
            outcome = await self._transactions.send(
                f"initialize round {round_}",
                self._client.rounds.initialize_round_call(),
                max_gas_price=self._max_gas_price,
            )
        except Reverted as error:
            if error.reason == _ALREADY_INITIALIZED:
                return None
            raise
        log.info("round.initialized", extra={"round": round_, "tx": "0x" + outcome.tx_hash.hex()})
        return outcome

    async def _hints(self, round_: Round) -> tuple[Address, Address]:
        client, block = self._client, await self._client.rpc.block_number()
        bonding, own = client.bonding, self._orchestrator
        (stake,), earnings, (total,), (cut,), (mintable,), (max_size,) = await client.rpc.read_all(
            [
                bonding.read(TRANSCODER_TOTAL_STAKE, own),
                bonding.read(EARNINGS_POOL, own, round_),
                bonding.read(TOTAL_ACTIVE_STAKE),
                bonding.read(TREASURY_REWARD_CUT_RATE),
                client.minter.read(CURRENT_MINTABLE_TOKENS),
                bonding.read(POOL_MAX_SIZE),
            ],
            block=block,
        )
        pool = await read_pool(bonding, block, self._last_order)
        self._last_order = tuple(member.address for member in pool)
        reward, _ = expected_reward(
            mintable=mintable, stake=earnings[0] or stake, total_active_stake=total, treasury_cut=cut
        )
        return neighbours(pool, own, stake + reward, max_size)
