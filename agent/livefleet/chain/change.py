"""What a duty on chain decides: how things stand, what is to be sent, and when to look again."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, Protocol, TypeVar

from livefleet.chain.abi import Function
from livefleet.chain.models import Call, ChainHead
from livefleet.chain.on_chain import IDLE_S, OnChainState

__all__ = [
    "Change",
    "DutyPlan",
    "DutyState",
    "OnChainDuty",
    "blocked",
    "in_step",
    "lock_text",
    "not_now",
    "round_text",
    "waiting",
]


T = TypeVar("T")


class DutyState(Enum):
    """How declared and actual compare."""

    IN_STEP = auto()  # equal, or nothing to do yet
    CHANGING = auto()  # there is something to send now
    WAITING = auto()  # the chain takes it later, by itself
    BLOCKED = auto()  # somebody has to do something first


@dataclass(frozen=True, slots=True)
class Change:
    """One transaction that is wanted, from the orchestrator's own account."""

    purpose: str  # what intents are told apart by: says from what to what
    title: str  # for people, imperative
    call: Call
    function: Function


@dataclass(frozen=True, slots=True)
class DutyPlan:
    """A duty's decision. Changes belong in their order, each after the one before it was mined."""

    state: DutyState
    reason: str  # CamelCase word for machines
    message: str
    changes: tuple[Change, ...] = ()
    again_after_s: float = IDLE_S


class OnChainDuty(Protocol, Generic[T]):
    """One declared thing: the steps of a reconcile resource, which stands above this room."""

    @property
    def topic(self) -> str:
        """What its intents and proposals are told apart by."""
        ...

    async def observe(self, max_age_s: float) -> T:
        """Read what `plan` needs; the shared part may be so many seconds old."""
        ...

    def plan(self, observed: T) -> DutyPlan:
        """Compare declared with observed. Pure."""
        ...


def in_step(reason: str, message: str) -> DutyPlan:
    """Nothing to do."""
    return DutyPlan(DutyState.IN_STEP, reason, message)


def waiting(reason: str, message: str, *, again_after_s: float = 60.0) -> DutyPlan:
    """Nothing to do yet."""
    return DutyPlan(DutyState.WAITING, reason, message, again_after_s=again_after_s)


def blocked(reason: str, message: str, *, again_after_s: float = IDLE_S) -> DutyPlan:
    """Nothing can be done until somebody acts."""
    return DutyPlan(DutyState.BLOCKED, reason, message, again_after_s=again_after_s)


def not_now(state: OnChainState, what: str) -> DutyPlan | None:
    """Why no staking call would be taken at all, None where they are. `what`: the thing that waits, as a subject."""
    if state.paused:
        return waiting("Paused", f"{what} waits: the protocol is paused", again_after_s=300.0)
    if not state.head.round_is_initialized:
        text = f"{what} waits until somebody initialises round {state.round}"
        return waiting("RoundNotInitialized", text)
    return None


def round_text(head: ChainHead, l1_block_s: float) -> str:
    """When the next round begins, in words."""
    wait = _duration(max(head.blocks_left_in_round, 0) * l1_block_s)
    return f"round {head.current_round + 1}, from L1 block {head.round_end_block} (in about {wait})"


def lock_text(head: ChainHead, l1_block_s: float) -> str:
    """That the round is locked, and until when."""
    since = head.round_end_block - head.round_lock_blocks
    return f"round {head.current_round} is locked since L1 block {since}; it goes on in {round_text(head, l1_block_s)}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
