"""The reward call: exactly once in each round in which the orchestrator is active.

Decided from what the chain says (`lastRewardRound < currentRound`), never from memory of having called; looked at again
until the round is over, with a rising ceiling. Any number of agents may hold the duty. Source: BondingManager, LIP-118.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from livefleet.chain.client import ChainClient
from livefleet.chain.errors import KeyBusy, NotMinedYet, Reverted
from livefleet.chain.lease import HeldLease
from livefleet.chain.models import Call, ChainHead, SpendLimit, TransactionOutcome
from livefleet.chain.reward_memory import RewardMemory
from livefleet.chain.reward_schedule import RewardPolicy, Stage, priced_limit, stage_of
from livefleet.chain.reward_view import RewardObserved, RewardReader
from livefleet.chain.transactions import Transactions
from livefleet.kernel import ZERO_ADDRESS, Address, Clock, LivefleetError, Round, Status, SystemClock, Transient

__all__ = ["RewardDuty", "RewardPlan", "RewardStep", "should_call_reward"]

log = logging.getLogger(__name__)

_ALREADY_CALLED = "already called reward"
_ALREADY_INITIALIZED = "round already initialized"
_LEASE_S = 5.0  # that the duty's lease lasts beyond the next look


class RewardStep(Enum):
    """What is to be done now."""

    NOTHING = auto()
    INITIALIZE_ROUND = auto()
    CALL_REWARD = auto()


@dataclass(frozen=True, slots=True)
class RewardPlan:
    """The step, the round it is for, why, and when to look again at the latest."""

    step: RewardStep
    round: Round
    reason: str  # CamelCase word for machines
    message: str
    again_after_s: float
    status: Status  # of the condition RewardCalled
    stage: Stage
    yields_to: Address | None = None  # another key that may call too: not while it has a transaction under way


def should_call_reward(observed: RewardObserved) -> bool:
    """Whether a reward call would succeed and was not made yet this round. Pure."""
    return observed.is_owed


class RewardDuty:
    """Keeps one orchestrator's reward called; `observe`, `plan` and `apply` are the reconcile loop's three steps.

    The signer of `transactions` is the orchestrator itself or the reward caller that it set. `head` is what the shared
    watcher last saw: it spares reads while nothing moved. `lease`, where agents share a store, lets one of them act.
    `hold`: what goes first, in words, where the reward would put an evicted orchestrator back into the pool and so end
    its activity in this round; empty where nothing does. It is heeded only while the reward is in no danger.
    """

    def __init__(
        self,
        client: ChainClient,
        transactions: Transactions,
        orchestrator: Address,
        *,
        policy: RewardPolicy | None = None,
        head: Callable[[], ChainHead] | None = None,
        lease: HeldLease | None = None,
        safe_depth: int = 0,
        hold: Callable[[], str] = lambda: "",
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._client = client
        self._transactions = transactions
        self._orchestrator = orchestrator
        self._policy = policy or RewardPolicy()
        self._lease = lease
        self._hold = hold
        self._clock = clock or SystemClock()
        self._memory = RewardMemory(head, safe_depth=safe_depth, clock=self._clock)
        self._rng = rng or random.Random()
        self._reader: RewardReader | None = None
        self._since: tuple[Round, bool] = (Round(0), False)  # round and whether it is initialised, first seen so …
        self._since_at = 0.0  # … at this monotonic time
        self._jitter: tuple[Round, float] = (Round(0), 0.0)
        self._failed: tuple[Round, str] | None = None
        self._missed: tuple[Round, ...] | None = None

    def go_by(self, policy: RewardPolicy) -> None:
        """Plan by it from the next look on, which reads the chain again."""
        self._policy = policy
        self._memory.drop()

    # Observing

    async def observe(self) -> RewardObserved:
        """What `plan` needs: from the chain, at one block, unless the watcher says that nothing moved.

        Raises Transient when the chain cannot be read now.
        """
        kept = self._memory.recall()
        if kept is not None:
            return kept
        observed = await self._read()
        if not observed.paused and (not observed.is_owed or observed.failure is not None):
            self._missed = await self._look_back(observed)
        observed = replace(observed, missed=self._missed)
        self._remember(observed)
        if not observed.is_owed:
            await self._give_back()
        return observed

    async def _look_back(self, observed: RewardObserved) -> tuple[Round, ...] | None:
        """Rounds that were missed; as known before where that cannot be read and the reward of now is owed."""
        try:
            return await self._readers().missed(observed, self._policy.look_back)
        except Transient:
            if not observed.is_owed:
                raise
            return self._missed

    def _remember(self, observed: RewardObserved) -> None:
        may_act = observed.is_owed and self._may_call(observed)
        may_act |= self._policy.initialize_rounds and not observed.is_initialized and not observed.paused
        if may_act:
            self._memory.drop()
        elif observed.is_owed or observed.paused:  # until somebody acts, which no round tells
            self._memory.keep(observed, for_s=4 * self._stage(observed).retry_s)
        else:
            self._memory.keep(observed)

    async def _give_back(self) -> None:
        if self._lease is None or not self._lease.is_held:
            return
        try:
            await self._lease.release()
        except Transient as error:  # it ends by itself
            log.warning("reward.lease_unknown", extra={"error": str(error)})

    async def _read(self) -> RewardObserved:
        observed = await self._readers().observe()
        mark = (observed.current_round, observed.is_initialized)
        if mark != self._since:
            self._since, self._since_at = mark, self._clock.monotonic()
        observed = replace(
            observed,
            waited_s=self._clock.monotonic() - self._since_at,
            standing_by=self._transactions.standing_by,
            failure=self._failed[1] if self._failed and self._failed[0] == observed.current_round else None,
        )
        if not observed.is_owed or not self._may_call(observed) or observed.standing_by:
            return observed
        if self._has_rival(observed):
            is_busy = await self._readers().is_busy(observed.reward_caller)
            observed = replace(observed, reward_caller_is_busy=is_busy)
        if self._lease is not None:
            stage = self._stage(observed)
            until_next_s = 2 * (stage.lasts_s + stage.retry_s)  # it is renewed at each look
            observed = replace(observed, lease_of=await self._other_lease(self._lease, until_next_s + _LEASE_S))
        return replace(observed, held_for=await self._held_for(observed))

    async def _held_for(self, observed: RewardObserved) -> str:
        """What goes before the reward; the pool is read only where something may."""
        if not observed.is_leaving or not self._stage(observed).may_wait or not (first := self._hold()):
            return ""
        return first if (await self._readers().hints(observed.current_round)).joins else ""

    async def _other_lease(self, lease: HeldLease, ttl_s: float) -> str | None:
        """Who else holds the duty; None where it is ours, or where nobody can be asked: the chain decides anyway."""
        try:
            if await lease.take(ttl_s):
                return None
            other = await lease.other_holder()
        except Transient as error:
            log.warning("reward.lease_unknown", extra={"error": str(error)})
            return None
        return other.holder if other else "ended just now"

    def _readers(self) -> RewardReader:
        if self._reader is None:
            self._reader = RewardReader(self._client, self._orchestrator)
        return self._reader

    # Planning

    def plan(self, observed: RewardObserved) -> RewardPlan:
        """What to do now. Pure but for the dice of the round's initialisation, which fall once a round."""
        stage = self._stage(observed)
        plan = self._plan(observed, stage)
        if plan.status is Status.TRUE or not stage.is_late:
            return plan
        text = f"{plan.message}; round {plan.round} ends in {_left(observed, stage)}"
        return replace(plan, reason="DeadlineNear", message=text, status=Status.FALSE)

    def _stage(self, observed: RewardObserved) -> Stage:
        return stage_of(self._policy, blocks_into=observed.blocks_into_round, round_length=observed.round_length)

    def _plan(self, observed: RewardObserved, stage: Stage) -> RewardPlan:
        number = observed.current_round

        def nothing(reason: str, message: str, again_s: float, status: Status = Status.UNKNOWN) -> RewardPlan:
            return RewardPlan(RewardStep.NOTHING, number, reason, message, again_s, status, stage)

        if observed.paused:
            return nothing("Paused", "the protocol is paused", self._policy.check_every_s)
        if not observed.is_initialized:
            return self._plan_initialization(observed, stage)
        if not observed.active:
            return nothing("NotActive", f"not active in round {number}", self._policy.check_every_s, Status.TRUE)
        if not observed.is_owed:
            text = f"reward was called in round {number}"
            return nothing("Called", text, self._policy.check_every_s, Status.TRUE)
        if not self._may_call(observed):
            reason, text = self._not_allowed(observed)
            return nothing(reason, text, self._policy.check_every_s, Status.FALSE)
        if observed.standing_by is not None:
            return nothing("StandingBy", observed.standing_by, stage.retry_s)
        if observed.lease_of is not None and not stage.is_late:
            text = f"another agent ({observed.lease_of}) has the duty of calling reward in round {number}"
            return nothing("AnotherHoldsTheDuty", text, stage.retry_s)
        if self._has_rival(observed) and not stage.is_urgent:
            left_s = stage.stagger_s - observed.waited_s
            if left_s > 0 or observed.reward_caller_is_busy:
                since = "which has a transaction under way" if left_s <= 0 else f"for {left_s:.0f} s more"
                text = f"leaving round {number} to the reward caller {observed.reward_caller}, {since}"
                return nothing("LeftToRewardCaller", text, max(0.1, min(left_s, stage.retry_s)))
        if observed.held_for:
            text = (
                f"leaving the pool with round {number}, and its reward would put it back and end its activity at once: "
                f"{observed.held_for} first"
            )
            return nothing("RedeemingFirst", text, stage.retry_s)
        text = f"calling reward in {number}"
        if observed.failure is not None:
            text = f"reward of round {number} could not be called yet: {observed.failure}"
        rival = observed.reward_caller if self._has_rival(observed) and not stage.is_urgent else None
        return RewardPlan(
            RewardStep.CALL_REWARD, number, "CallingReward", text, stage.retry_s, Status.FALSE, stage, rival
        )

    def _plan_initialization(self, observed: RewardObserved, stage: Stage) -> RewardPlan:
        number, policy = observed.current_round, self._policy
        length = observed.round_length
        is_long_ago = bool(length) and observed.blocks_into_round >= policy.uninitialized_alarm_after * length
        status = Status.FALSE if is_long_ago and observed.blocks_into_round > 0 else Status.UNKNOWN
        ago = f"{observed.blocks_into_round} blocks after its begin"
        if not policy.initialize_rounds:
            text = f"{ago}, round {number} is not initialised; nobody can call reward or redeem until somebody does"
            if status is Status.FALSE:
                text += "; set initialize_round in this duty to have it done"
            return RewardPlan(RewardStep.NOTHING, number, "RoundNotInitialized", text, 30.0, status, stage)
        left_s = self._jitter_of(number) - observed.waited_s
        if left_s > 0 and not stage.is_urgent:
            text = f"round {number} is not initialised; initialising it in {left_s:.0f} s unless somebody else does"
            return RewardPlan(RewardStep.NOTHING, number, "RoundNotInitialized", text, left_s, status, stage)
        text = f"round {number} is not initialised; initialising it"
        if observed.failure is not None:
            text = f"{ago}, round {number} could not be initialised yet: {observed.failure}"
        return RewardPlan(RewardStep.INITIALIZE_ROUND, number, "InitializingRound", text, stage.retry_s, status, stage)

    def _jitter_of(self, round_: Round) -> float:
        if self._jitter[0] != round_:
            self._jitter = (round_, self._rng.uniform(0, self._policy.initialize_within_s))
        return self._jitter[1]

    def _has_rival(self, observed: RewardObserved) -> bool:
        """Whether ours is the orchestrator's own key, which has set another to call its reward."""
        own = self._transactions.address
        return own == self._orchestrator and observed.reward_caller not in (ZERO_ADDRESS, own)

    def _may_call(self, observed: RewardObserved) -> bool:
        own = self._transactions.address
        return own in (self._orchestrator, observed.reward_caller)

    def _not_allowed(self, observed: RewardObserved) -> tuple[str, str]:
        own, bonding = self._transactions.address, self._client.bonding.address
        if not observed.knows_reward_callers:
            return "RewardCallersUnknown", (
                f"the BondingManager {bonding} is older than LIP-118: only {self._orchestrator} itself can call its "
                f"reward, and this node's key is {own}; give the duty the orchestrator's key"
            )
        has = "nobody" if observed.reward_caller == ZERO_ADDRESS else observed.reward_caller
        return "RewardCallerMissing", (
            f"{self._orchestrator} has set {has} as its reward caller, and this node's key is {own}; have the "
            f"orchestrator's key send setRewardCaller({own}) to {bonding} (declare it as on_chain.reward_caller to get "
            "the proposal)"
        )

    # Acting

    async def apply(self, plan: RewardPlan) -> TransactionOutcome | None:
        """Take the plan's step; None where there was none to take, somebody else took it or it is still under way.

        What it raises is remembered as why the round's reward is missing.
        """
        if plan.step is RewardStep.NOTHING:
            return None
        try:
            match plan.step:
                case RewardStep.INITIALIZE_ROUND:
                    return await self._initialize(plan.round, plan.stage)
                case RewardStep.CALL_REWARD:
                    return await self._call_reward(plan)
        except LivefleetError as error:
            await self._note_failure(plan.round, error)
            raise

    async def _note_failure(self, round_: Round, error: LivefleetError) -> None:
        self._failed = (round_, str(error))
        await self._give_back()  # another may be luckier

    async def _call_reward(self, plan: RewardPlan) -> TransactionOutcome | None:
        round_, stage = plan.round, plan.stage
        purpose = f"reward {self._orchestrator} round {round_}"
        under_way = await self._transactions.latest(purpose)
        if under_way is not None and under_way.is_live:
            call, limit = under_way.call, stage.limit
            if self._policy.max_share is not None:
                limit = priced_limit(self._policy, limit, (await self._readers().hints(round_)).reward)
        else:
            hints = await self._readers().hints(round_)
            limit = priced_limit(self._policy, stage.limit, hints.reward)
            call = self._reward_call(hints.previous, hints.following)
            if plan.yields_to is not None and await self._readers().is_busy(plan.yields_to):
                self._failed = (round_, f"the reward caller {plan.yields_to} has a transaction under way")
                return None
        outcome = await self._send(purpose, call, limit, stage, already=_ALREADY_CALLED)
        if outcome is not None:
            log.info(
                "reward.called",
                extra={"round": round_, "tx": "0x" + outcome.tx_hash.hex(), "succeeded": outcome.succeeded},
            )
            if not outcome.succeeded:
                raise Reverted(f"the reward call 0x{outcome.tx_hash.hex()} reverted when it was mined")
        return outcome

    def _reward_call(self, previous: Address, following: Address) -> Call:
        bonding = self._client.bonding
        if self._transactions.address == self._orchestrator:
            return bonding.reward_call(previous, following)
        return bonding.reward_for_call(self._orchestrator, previous, following)

    async def _initialize(self, round_: Round, stage: Stage) -> TransactionOutcome | None:
        if await self._client.rounds.last_initialized_round() >= round_:
            return None
        call = self._client.rounds.initialize_round_call()
        outcome = await self._send(f"initialize round {round_}", call, stage.limit, stage, already=_ALREADY_INITIALIZED)
        if outcome is not None and outcome.succeeded:
            log.info("round.initialized", extra={"round": round_, "tx": "0x" + outcome.tx_hash.hex()})
        return outcome

    async def _send(
        self, purpose: str, call: Call, limit: SpendLimit, stage: Stage, *, already: str
    ) -> TransactionOutcome | None:
        """Send and wait as long as the stage lasts; None where somebody else was first or no block took it yet."""
        try:
            return await self._transactions.send(
                purpose,
                call,
                limit=limit,
                replace_after_s=stage.replace_after_s,
                alone=not stage.is_urgent,
                wait_s=stage.lasts_s,
            )
        except (KeyBusy, NotMinedYet) as error:
            self._failed = (self._since[0], str(error))
            return None
        except Reverted as error:
            if already in error.reason:
                return None
            raise


def _left(observed: RewardObserved, stage: Stage) -> str:
    blocks = max(observed.round_length - observed.blocks_into_round, 0)
    minutes = stage.left_s / 60
    return (
        f"{blocks} blocks (about {minutes:.0f} min)"
        if minutes >= 2
        else f"{blocks} blocks (about {stage.left_s:.0f} s)"
    )
