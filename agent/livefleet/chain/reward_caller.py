"""Keeps the orchestrator's reward caller as declared (LIP-118)."""

from dataclasses import dataclass

from livefleet.chain.change import Change, DutyPlan, DutyState, blocked, in_step, waiting
from livefleet.chain.contracts.bonding_manager import SET_REWARD_CALLER
from livefleet.chain.on_chain import OnChainReader, OnChainState
from livefleet.kernel import ZERO_ADDRESS, Address

__all__ = ["RewardCallerDuty"]


@dataclass(frozen=True, slots=True)
class RewardCallerDuty:
    """One caller beside the orchestrator itself; the zero address is nobody."""

    reader: OnChainReader
    declared: Address
    topic: str = "reward-caller"

    async def observe(self, max_age_s: float) -> OnChainState:
        """Who may call now."""
        return await self.reader.look(max_age_s)

    def plan(self, observed: OnChainState) -> DutyPlan:
        """The caller to set, unless it is set. Pure."""
        found = observed.reward_caller
        if found is None and self.declared == ZERO_ADDRESS:
            return in_step("NotSupported", "reward caller: nobody, as the BondingManager is from before LIP-118")
        if found is None:
            text = "the BondingManager is from before LIP-118: only the orchestrator's own key can call reward"
            return blocked("NotSupported", text)
        if found == self.declared:
            return in_step("Set", f"reward caller: {_name(found)}")
        text = f"reward caller: {_name(found)}; declared: {_name(self.declared)}"
        if observed.paused:
            return waiting("Paused", f"{text}; the protocol is paused", again_after_s=300.0)
        change = Change(
            purpose=f"{observed.orchestrator} from {found} to {self.declared}",
            title=f"let {_name(self.declared)} call reward",
            call=self.reader.client.bonding.set_reward_caller_call(self.declared),
            function=SET_REWARD_CALLER,
        )
        return DutyPlan(DutyState.CHANGING, "Differs", text, (change,))


def _name(caller: Address) -> str:
    return "nobody" if caller == ZERO_ADDRESS else caller
