"""Reward called once in each round: the chain room's duty as a resource."""

from dataclasses import dataclass

from livefleet.chain import RewardDuty, RewardObserved, RewardPlan, RewardStep
from livefleet.kernel import Condition, LivefleetError, Status
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["RewardResource"]

_UNSEEN_S = 5.0  # between two looks while the chain cannot be read
_NAMED = 10  # missed rounds that are named


@dataclass(frozen=True, slots=True)
class _Take(Action):
    plan: RewardPlan


@dataclass(frozen=True, slots=True)
class _Unseen:
    """The chain could not be read."""

    because: str


class RewardResource:
    """Looks on a timer as well as on every new round, and never stops looking: no failure backs off past seconds."""

    name = "reward"

    def __init__(self, duty: RewardDuty, *, every_s: float) -> None:
        self._duty = duty
        self._every_s = every_s
        self.calls = 0
        """Reward calls that were mined and did not revert, since the start; for reading only."""
        self.failures = 0
        """Reward calls that were refused, reverted or could not be sent, each cause once a round; for reading only."""
        self.observed: RewardObserved | None = None
        """What the chain said at the last look that worked; for reading only."""
        self.planned: RewardPlan | None = None
        """What came of it; for reading only."""
        self.tickets_first = False
        """Whether what was won has to be redeemed at once, until the reward is called: for reading only."""
        self._failed: tuple[int, str] | None = None  # round and cause

    def look_every(self, every_s: float) -> None:
        """Seconds between looks from the next one on."""
        self._every_s = every_s

    async def observe(self) -> RewardObserved | _Unseen:
        """What the chain says at one block, or why it says nothing."""
        try:
            self.observed = await self._duty.observe()
        except LivefleetError as error:
            return _Unseen(str(error))
        return self.observed

    def plan(self, observed: RewardObserved | _Unseen) -> Plan:
        """The duty's own plan, with a condition that is false while a reward is owed or cannot be called."""
        if isinstance(observed, _Unseen):
            return self._blind(observed)
        plan = self.planned = self._duty.plan(observed)
        self.tickets_first = (
            observed.is_owed and observed.is_leaving and (bool(observed.held_for) or self.tickets_first)
        )
        actions = () if plan.step is RewardStep.NOTHING else (_Take(plan.message, plan),)
        again = Again(min(plan.again_after_s, self._every_s))
        return Plan(actions, (_called(plan), _complete(observed)), again)

    async def apply(self, action: Action) -> None:
        """Take the duty's step. What goes wrong is told by the next plan, which tries again."""
        assert isinstance(action, _Take)
        is_call = action.plan.step is RewardStep.CALL_REWARD
        try:
            outcome = await self._duty.apply(action.plan)
        except LivefleetError as error:
            cause = (action.plan.round, type(error).__name__)
            self.failures += is_call and cause != self._failed
            self._failed = cause
            return
        if is_call and outcome is not None:
            self.calls += 1

    def _blind(self, unseen: _Unseen) -> Plan:
        text = f"whether a reward is owed cannot be told: {unseen.because}"
        status, reason = Status.UNKNOWN, "ChainNotSeen"
        if self.planned is not None and self.planned.reason == "DeadlineNear":
            status, reason, text = Status.FALSE, "DeadlineNear", f"{text}; when last seen: {self.planned.message}"
        condition = Condition("RewardCalled", status, reason, text, gates_ready=False)
        return Plan((), (condition,), Again(min(_UNSEEN_S, self._every_s)))


def _called(plan: RewardPlan) -> Condition:
    return Condition("RewardCalled", plan.status, plan.reason, plan.message, gates_ready=False)


def _complete(observed: RewardObserved) -> Condition:
    """Whether the last round that is over had its reward; older ones are named as long as they are looked back at."""
    name = "RewardsComplete"
    if observed.missed is None:
        text = "earlier rounds are looked at when this one is done with"
        return Condition(name, Status.UNKNOWN, "NotLookedBack", text, gates_ready=False)
    if not observed.missed:
        return Condition(name, Status.TRUE, "NoneMissed", "no reward of the last rounds was missed", gates_ready=False)
    rounds = ", ".join(str(round_) for round_ in observed.missed[-_NAMED:])
    more = f" and {len(observed.missed) - _NAMED} before" if len(observed.missed) > _NAMED else ""
    text = f"{len(observed.missed)} of the last rounds ended without a reward: {rounds}{more}; what they would have "
    text += "minted is lost"
    is_fresh = observed.missed[-1] >= observed.current_round - 1
    return Condition(name, Status.FALSE if is_fresh else Status.TRUE, "RoundsMissed", text, gates_ready=False)
