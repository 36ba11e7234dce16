"""One thing declared on chain: a duty of the chain room as a resource."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from livefleet.chain import Change, DutyPlan, DutyState, Hand, OnChainDuty
from livefleet.kernel import Condition, Status
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["OnChainObserved", "OnChainResource"]

_READ_BACK_S = 5.0  # after something was sent
_STILL_GOOD = 0.95  # share of the time until the next look for which another resource's look will do

_STATUS = {
    DutyState.IN_STEP: Status.TRUE,
    DutyState.CHANGING: Status.UNKNOWN,
    DutyState.WAITING: Status.UNKNOWN,
    DutyState.BLOCKED: Status.FALSE,
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OnChainObserved(Generic[T]):
    """What the duty saw, and whether somebody is being asked to sign something of it."""

    duty: T
    has_asked: bool


@dataclass(frozen=True, slots=True)
class _CarryOut(Action):
    why: str
    changes: tuple[Change, ...]


class OnChainResource(Generic[T]):
    """Sends what the duty wants, or asks for it; takes the question back once the chain needs it no more."""

    def __init__(self, duty: OnChainDuty[T], hand: Hand, *, condition: str) -> None:
        self.name = f"on-chain {duty.topic}"
        self._duty = duty
        self._hand = hand
        self._condition = condition
        self._may_be_old_s = 0.0

    async def observe(self) -> OnChainObserved[T]:
        """The chain's word, from the look that all such resources share."""
        found = await self._duty.observe(self._may_be_old_s)
        self._may_be_old_s = _STILL_GOOD * self._duty.plan(found).again_after_s
        return OnChainObserved(found, self._hand.has_asked(self._duty.topic))

    def plan(self, observed: OnChainObserved[T]) -> Plan:
        """The duty's own plan; a condition says how things stand and what comes next."""
        plan = self._duty.plan(observed.duty)
        actions: tuple[Action, ...] = ()
        message, again_after_s = plan.message, plan.again_after_s
        if plan.changes:
            what = "; ".join(change.title for change in plan.changes)
            actions = (_CarryOut(what, self._why(plan), plan.changes),)
            if self._hand.signs:
                again_after_s = _READ_BACK_S
            else:
                message += "; the node has no key for this: see `livefleet chain pending`"
        elif observed.has_asked:
            actions = (Action(f"withdraw the proposal about {self._duty.topic}"),)
        condition = Condition(self._condition, _STATUS[plan.state], plan.reason, message, gates_ready=False)
        return Plan(actions, (condition,), Again(again_after_s))

    async def apply(self, action: Action) -> None:
        """Carry the changes out; once sent, the next look follows at once."""
        if isinstance(action, _CarryOut):
            await self._hand.carry_out(self._duty.topic, action.summary, action.why, action.changes)
        else:
            self._hand.withdraw(self._duty.topic)

    def _why(self, plan: DutyPlan) -> str:
        """Why, in words that stay the same while the same is wanted: they are part of a proposal's id."""
        return f"declared under `on_chain`: {plan.reason}"
