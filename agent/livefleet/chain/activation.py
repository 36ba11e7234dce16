"""Makes an address an orchestrator, and says how far it is: bonded, in the pool, cuts set, URIs registered, active.

Each look reads everything again and plans what is left, so that it goes on wherever it was cut off. The first bond
waits for a round in which the first cuts can still be set: an orchestrator that becomes active with cuts of zero keeps
none of its reward. Source: BondingManager.bondWithHint, transcoder.
"""

from dataclasses import dataclass
from typing import Final

from livefleet.chain.change import Change, DutyPlan, DutyState, blocked, in_step, lock_text, not_now, waiting
from livefleet.chain.contracts.bonding_manager import TRANSCODER
from livefleet.chain.cuts import Cuts, cuts_text
from livefleet.chain.on_chain import OnChainReader, OnChainState
from livefleet.chain.self_stake import StakeFacts, StakeObserved, bond_changes, elsewhere, lpt_short, read_stake_facts
from livefleet.chain.service_uri import same_service
from livefleet.spec.amounts import eth_text, lpt_text

__all__ = ["ActivationDuty"]

GAS: Final = 2_000_000
"""Of approving, bonding without useful hints, setting cuts and two URIs, with room for Arbitrum's L1 part."""

_POOL_AGAIN_S: Final = 3_600.0  # a walk through a full pool takes some 200 requests

_ROOM_BLOCKS: Final = 4  # L1 blocks in which bond and cuts are surely mined


@dataclass(frozen=True, slots=True)
class ActivationDuty:
    """One address on its way to the active set, and back into the pool where it has fallen out."""

    reader: OnChainReader
    cuts: Cuts
    stake: int  # LPTU, to begin with
    service_uri: str
    ai_service_uri: str | None  # None: there is no registry for AI
    l1_block_s: float
    topic: str = "activation"

    async def observe(self, max_age_s: float) -> StakeObserved:
        """The state, and what could be bonded unless it is in the pool."""
        state = await self.reader.look(max_age_s)
        if state.is_in_pool or state.is_elsewhere:
            return StakeObserved(state, None)
        return StakeObserved(state, await read_stake_facts(self.reader, 0 if state.is_registered else self.stake))

    def plan(self, observed: StakeObserved) -> DutyPlan:
        """What is left to do, in order; or what it waits for. Pure."""
        state = observed.state
        if state.is_elsewhere:
            return elsewhere(state)
        if not state.is_registered:
            return self._register(observed)
        if not state.is_in_pool:
            return self._come_back(observed)
        if state.never_set_cuts and Cuts(0, 0) != self.cuts:
            return self._set_first_cuts(state)
        return self._read_back(state)

    def _register(self, observed: StakeObserved) -> DutyPlan:
        state, facts = observed.state, observed.facts
        assert facts is not None  # observed outside the pool
        text = f"{state.orchestrator} is not bonded yet"
        if (wait := not_now(state, text)) is not None:
            return wait
        if (lacking := self._lacking(observed, facts)) is not None:
            return lacking
        left = state.head.blocks_left_in_round - state.head.round_lock_blocks
        if left <= _ROOM_BLOCKS:
            return waiting(
                "Locked", f"{text}; first cuts need an unlocked round: {lock_text(state.head, self.l1_block_s)}"
            )
        changes = (*bond_changes(self.reader, observed, self.stake), self._cuts_change(state))
        return DutyPlan(DutyState.CHANGING, "Registering", text, changes)

    def _lacking(self, observed: StakeObserved, facts: StakeFacts) -> DutyPlan | None:
        own = observed.state.orchestrator
        gas = GAS * observed.state.head.gas_price
        if facts.eth < gas:
            text = f"{own} holds {eth_text(facts.eth)}; activating may take {eth_text(gas)} of gas: send it the rest"
            return blocked("TooLittleEth", text)
        if (lacking := lpt_short(own, facts, self.stake)) is not None:
            return lacking
        total = observed.state.delegator.delegated_amount + self.stake
        missing = _missing(facts, total)
        if missing:
            text = (
                f"pool full: {missing} LPTU missing ({lpt_text(missing)}): the last of {len(facts.pool)} orchestrators "
                f"has {lpt_text(facts.pool[-1].stake)}, and {lpt_text(total)} would not enter; raise `min_self_stake`"
            )
            return blocked("PoolFull", text, again_after_s=_POOL_AGAIN_S)
        return None

    def _come_back(self, observed: StakeObserved) -> DutyPlan:
        """Bonded and out of the pool: nothing brings it back by itself, setting its cuts does where it outweighs."""
        state, facts = observed.state, observed.facts
        assert facts is not None  # observed outside the pool
        total = state.delegator.delegated_amount
        missing = _missing(facts, total)
        if missing:
            text = (
                f"out of the pool: {missing} LPTU missing ({lpt_text(missing)}): the last of {len(facts.pool)} has "
                f"{lpt_text(facts.pool[-1].stake)}, this orchestrator {lpt_text(total)}"
            )
            return blocked("PoolFull", text, again_after_s=_POOL_AGAIN_S)
        text = f"out of the pool, with {lpt_text(total)} that would be enough to enter"
        if (wait := not_now(state, text)) is not None:
            return wait
        if state.is_active:
            return waiting("Leaving", f"{text}; it works until round {state.round} ends, and comes back after that")
        if state.head.round_is_locked:
            return waiting("Locked", f"{text}; {lock_text(state.head, self.l1_block_s)}")
        return DutyPlan(DutyState.CHANGING, "Returning", text, (self._cuts_change(state),))

    def _set_first_cuts(self, state: OnChainState) -> DutyPlan:
        text = f"bonded, in the pool from round {state.transcoder.activation_round} on, and its cuts were never set"
        if (wait := not_now(state, text)) is not None:
            return wait
        if state.is_active and not state.has_called_reward:
            return waiting("RewardFirst", f"{text}; they can be set once reward was called in round {state.round}")
        if state.head.round_is_locked:
            return waiting("Locked", f"{text}; {lock_text(state.head, self.l1_block_s)}")
        return DutyPlan(DutyState.CHANGING, "SettingCuts", text, (self._cuts_change(state),))

    def _cuts_change(self, state: OnChainState) -> Change:
        entry = state.transcoder
        cuts = self.cuts if state.never_set_cuts else Cuts(entry.reward_cut, entry.fee_share)
        return Change(
            purpose=f"{state.orchestrator} round {state.round} cuts {cuts.reward_cut}/{cuts.fee_share}",
            title=f"set {cuts_text(cuts)}",
            call=self.reader.client.bonding.transcoder_call(reward_cut=cuts.reward_cut, fee_share=cuts.fee_share),
            function=TRANSCODER,
        )

    def _read_back(self, state: OnChainState) -> DutyPlan:
        entry = state.transcoder
        open_fields = [
            name
            for name, is_set in (
                ("own stake", state.stake >= self.stake),
                ("cuts", Cuts(entry.reward_cut, entry.fee_share) == self.cuts),
                ("service URI", same_service(state.service_uri, self.service_uri)),
                (
                    "AI service URI",
                    self.ai_service_uri is None or same_service(state.ai_service_uri or "", self.ai_service_uri),
                ),
            )
            if not is_set
        ]
        where = "active" if state.is_active else f"active from round {entry.activation_round} on"
        if open_fields:
            text = f"bonded and {where}; not as declared yet: {', '.join(open_fields)}"
            return waiting("ReadingBack", text)
        return in_step("Active" if state.is_active else "ActiveNextRound", f"{where}; all read back as declared")


def _missing(facts: StakeFacts, total: int) -> int:
    """LPTU that `total` lacks to be in the next round's pool; 0 where there is room. A tie does not enter."""
    if len(facts.pool) < facts.pool_max_size:
        return 0
    return max(0, facts.pool[-1].stake + 1 - total)
