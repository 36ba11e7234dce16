"""Keeps reward cut and fee cut as declared, in steps of a declared size a round, when the chain takes them.

An active orchestrator may set its cuts only after this round's reward and before the round's lock. By then the round's
earnings pool holds the cuts that the round began with, so that how far they have come in this round is read from the
chain, whoever changed them. Source: BondingManager.transcoder, getTranscoderEarningsPoolForRound.
"""

from dataclasses import dataclass
from typing import Final

from livefleet.chain.change import (
    Change,
    DutyPlan,
    DutyState,
    in_step,
    lock_text,
    not_now,
    round_text,
    waiting,
)
from livefleet.chain.contracts.bonding_manager import EARNINGS_POOL, TRANSCODER
from livefleet.chain.on_chain import OnChainReader, OnChainState
from livefleet.spec.amounts import percent_text

__all__ = ["Cuts", "CutsDuty", "CutsObserved", "cuts_text", "next_cut"]

WHOLE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Cuts:
    """Both as the chain has them, parts of 1,000,000. An operator's fee cut is the whole less `fee_share`."""

    reward_cut: int
    fee_share: int


@dataclass(frozen=True, slots=True)
class CutsObserved:
    """What the decision rests on."""

    state: OnChainState
    at_round_start: Cuts | None  # None: inactive, not rewarded yet, or not asked since nothing differs

    @property
    def now(self) -> Cuts:
        """As they stand."""
        return Cuts(self.state.transcoder.reward_cut, self.state.transcoder.fee_share)


def next_cut(*, now: int, at_round_start: int, declared: int, max_change: int) -> int:
    """Where a cut goes in this round: as near to the declared one as `max_change` from the round's start allows.

    One that is already further on its way, by somebody else's hand, stays where it is. Pure.
    """
    wanted = max(at_round_start - max_change, min(at_round_start + max_change, declared))
    return max(min(now, declared), min(max(now, declared), wanted))


def cuts_text(cuts: Cuts) -> str:
    """Both in an operator's words."""
    return f"reward cut {percent_text(cuts.reward_cut)}, fee cut {percent_text(WHOLE - cuts.fee_share)}"


@dataclass(frozen=True, slots=True)
class CutsDuty:
    """One orchestrator's cuts. `first_are_others`: the first cuts of a new orchestrator are set by its activation."""

    reader: OnChainReader
    reward_cut: int | None  # None: as it is
    fee_cut: int | None
    max_change: int
    l1_block_s: float
    first_are_others: bool = False
    topic: str = "cuts"

    async def observe(self, max_age_s: float) -> CutsObserved:
        """The cuts, and where they differ what this round began with."""
        state = await self.reader.look(max_age_s)
        observed = CutsObserved(state, None)
        if self._declared(observed.now) == observed.now or not (state.is_active and state.has_called_reward):
            return observed
        bonding = self.reader.client.bonding
        _, reward_cut, fee_share, *_ = await bonding.rpc.read(
            bonding.read(EARNINGS_POOL, state.orchestrator, state.round)
        )
        return CutsObserved(state, Cuts(reward_cut, fee_share))

    def plan(self, observed: CutsObserved) -> DutyPlan:
        """The next step, or why it cannot be taken now and when it can. Pure."""
        state, now = observed.state, observed.now
        declared = self._declared(now)
        if now == declared:
            return in_step("InStep", cuts_text(now))
        step = declared if state.never_set_cuts and not state.is_active else self._step(observed, declared)
        text = f"{cuts_text(now)}; declared: {cuts_text(declared)}"
        if step != declared:
            text += f"; at most {percent_text(self.max_change)} a round"
        if (wait := self._wait(observed, text, step)) is not None:
            return wait
        following = self._following(step, declared)
        change = Change(
            purpose=f"{state.orchestrator} round {state.round} to {step.reward_cut}/{step.fee_share}",
            title=f"set {cuts_text(step)}",
            call=self.reader.client.bonding.transcoder_call(reward_cut=step.reward_cut, fee_share=step.fee_share),
            function=TRANSCODER,
        )
        message = f"{text}; now {cuts_text(step)}, which earns from round {state.round + 1} on{following}"
        return DutyPlan(DutyState.CHANGING, "Changing", message, (change,))

    def _declared(self, now: Cuts) -> Cuts:
        return Cuts(
            now.reward_cut if self.reward_cut is None else self.reward_cut,
            now.fee_share if self.fee_cut is None else WHOLE - self.fee_cut,
        )

    def _step(self, observed: CutsObserved, declared: Cuts) -> Cuts:
        now = observed.now
        start = observed.at_round_start or now
        return Cuts(
            next_cut(
                now=now.reward_cut,
                at_round_start=start.reward_cut,
                declared=declared.reward_cut,
                max_change=self.max_change,
            ),
            next_cut(
                now=now.fee_share,
                at_round_start=start.fee_share,
                declared=declared.fee_share,
                max_change=self.max_change,
            ),
        )

    def _wait(self, observed: CutsObserved, text: str, step: Cuts) -> DutyPlan | None:
        state = observed.state
        if not state.is_registered:
            return waiting("NotRegistered", f"{text}; the orchestrator is not bonded to itself yet")
        if state.never_set_cuts and self.first_are_others:
            return waiting("Activating", f"{text}; activation sets the first ones")
        if (wait := not_now(state, text)) is not None:
            return wait
        if state.is_leaving:
            after = round_text(state.head, self.l1_block_s)
            return waiting(
                "Leaving", f"{text}; evicted in this round, and setting cuts now would end its work: {after}"
            )
        if state.is_active and not state.has_called_reward:
            return waiting("RewardFirst", f"{text}; they can be set once reward was called in round {state.round}")
        if step == observed.now:
            when = round_text(state.head, self.l1_block_s)
            coming = cuts_text(self._coming(step, self._declared(step)))
            return waiting(
                "NextRound", f"{text}; this round's step is done, next: {coming} in {when}", again_after_s=600
            )
        if state.head.round_is_locked:
            return waiting("Locked", f"{text}; {lock_text(state.head, self.l1_block_s)}")
        return None

    def _coming(self, step: Cuts, declared: Cuts) -> Cuts:
        return Cuts(
            *(
                next_cut(now=one, at_round_start=one, declared=goal, max_change=self.max_change)
                for one, goal in ((step.reward_cut, declared.reward_cut), (step.fee_share, declared.fee_share))
            )
        )

    def _following(self, step: Cuts, declared: Cuts) -> str:
        left = max(abs(declared.reward_cut - step.reward_cut), abs(declared.fee_share - step.fee_share))
        if not left:
            return ""
        rounds = -(-left // self.max_change)
        coming = cuts_text(self._coming(step, declared))
        return f"; then {coming}, and so on: {rounds} more round{'s' if rounds > 1 else ''}"
