"""Reward called once in each round: the chain room's duty as a resource."""

from dataclasses import dataclass

from livefleet.chain import RewardDuty, RewardObserved, RewardPlan, RewardStep
from livefleet.kernel import Condition, LivefleetError, Status
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["RewardResource"]


@dataclass(frozen=True, slots=True)
class _Take(Action):
    plan: RewardPlan


class RewardResource:
    """Looks on a timer as well as on every new round, so that one missed event or failed call loses nothing."""

    name = "reward"

    def __init__(self, duty: RewardDuty, *, every_s: float) -> None:
        self._duty = duty
        self._every_s = every_s
        self.calls = 0
        """Reward calls that were mined and did not revert, since the start; for reading only."""
        self.failures = 0
        """Reward calls that were refused, reverted or could not be sent; for reading only."""

    async def observe(self) -> RewardObserved:
        """What the chain says at one block."""
        return await self._duty.observe()

    def plan(self, observed: RewardObserved) -> Plan:
        """The duty's own plan, with a condition that is false only while a reward is owed or cannot be called."""
        plan = self._duty.plan(observed)
        owed = plan.step is RewardStep.CALL_REWARD
        fine = plan.reason in {"Called", "NotActive"}
        condition = Condition(
            "RewardCalled",
            Status.TRUE if fine else Status.FALSE if owed else Status.UNKNOWN,
            plan.reason,
            plan.message,
            gates_ready=False,
        )
        actions = () if plan.step is RewardStep.NOTHING else (_Take(plan.message, plan),)
        return Plan(actions, (condition,), Again(min(plan.again_after_s, self._every_s)))

    async def apply(self, action: Action) -> None:
        """Take the duty's step."""
        assert isinstance(action, _Take)
        is_call = action.plan.step is RewardStep.CALL_REWARD
        try:
            outcome = await self._duty.apply(action.plan)
        except LivefleetError:
            self.failures += is_call
            raise
        if is_call and outcome is not None:
            self.calls += outcome.succeeded
            self.failures += not outcome.succeeded
