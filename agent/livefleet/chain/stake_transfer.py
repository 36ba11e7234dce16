"""Moves stake that rewards have added to a cold address, bonded all the time. Source: BondingManager.transferBond."""

from dataclasses import dataclass

from livefleet.chain.change import Change, DutyPlan, DutyState, blocked, in_step, not_now, waiting
from livefleet.chain.contracts.bonding_manager import GET_DELEGATOR, POOL_MAX_SIZE, TRANSFER_BOND, Delegator
from livefleet.chain.on_chain import OnChainReader, OnChainState
from livefleet.chain.pool import PoolMember, neighbours, read_pool
from livefleet.kernel import ZERO_ADDRESS, Address
from livefleet.spec.amounts import lpt_text

__all__ = ["StakeTransferDuty", "TransferFacts", "TransferObserved"]


@dataclass(frozen=True, slots=True)
class TransferFacts:
    """Read where a transfer is due."""

    receiver: Delegator
    pool: tuple[PoolMember, ...]
    pool_max_size: int


@dataclass(frozen=True, slots=True)
class TransferObserved:
    """What the decision rests on."""

    state: OnChainState
    facts: TransferFacts | None = None


@dataclass(frozen=True, slots=True)
class StakeTransferDuty:
    """One orchestrator's stake. Never goes below `keep`. `unit`: amounts are rounded down to it."""

    reader: OnChainReader
    receiver: Address
    above: int  # LPTU over `keep`
    keep: int  # LPTU
    unit: int = 1  # LPTU
    topic: str = "stake-transfer"

    async def observe(self, max_age_s: float) -> TransferObserved:
        """The stake; and where a transfer is due, the receiver and the pool."""
        state = await self.reader.look(max_age_s)
        if not state.is_registered or not self._surplus(state):
            return TransferObserved(state)
        bonding, rpc = self.reader.client.bonding, self.reader.client.rpc
        block = await rpc.block_number()
        receiver, (max_size,) = await rpc.read_all(
            [bonding.read(GET_DELEGATOR, self.receiver), bonding.read(POOL_MAX_SIZE)], block=block
        )
        pool = await read_pool(bonding, block)
        return TransferObserved(state, TransferFacts(Delegator.of(receiver), pool, max_size))

    def plan(self, observed: TransferObserved) -> DutyPlan:
        """How much to move, or why not now. Pure."""
        state, facts = observed.state, observed.facts
        text = f"own stake {lpt_text(state.stake)}, of which {lpt_text(self.keep)} stay"
        if not state.is_registered:
            return in_step("NotRegistered", "no stake of its own yet")
        amount = self._surplus(state)
        if not amount:
            return in_step("Below", f"{text}; moved from {lpt_text(self.above)} over it on")
        if (wait := not_now(state, text)) is not None:
            return wait
        assert facts is not None  # observed where there is a surplus
        if facts.receiver.delegate_address not in (ZERO_ADDRESS, state.orchestrator):
            other = facts.receiver.delegate_address
            why = f"{self.receiver} is bonded to {other}, and the stake would go there"
            return blocked("ReceiverElsewhere", f"{text}; {why}; bond it to this orchestrator first")
        if state.is_leaving:
            return waiting("Leaving", f"{text}; evicted from the pool in round {state.round}, in which stake stays put")
        is_claimed = facts.receiver.last_claim_round >= state.round or facts.receiver.delegate_address == ZERO_ADDRESS
        if state.is_active and not state.has_called_reward and not is_claimed:
            why = f"reward of round {state.round} comes first, else the contract says ILLEGAL_CLAIM_EARNINGS"
            return waiting("RewardFirst", f"{text}; {why}")
        change = self._change(state, facts, amount)
        return DutyPlan(DutyState.CHANGING, "Due", f"{text}; {lpt_text(amount)} go to {self.receiver}", (change,))

    def _surplus(self, state: OnChainState) -> int:
        surplus = state.stake - self.keep
        return surplus // self.unit * self.unit if surplus > 0 and surplus >= self.above else 0

    def _change(self, state: OnChainState, facts: TransferFacts, amount: int) -> Change:
        total = state.delegator.delegated_amount
        lower = neighbours(facts.pool, state.orchestrator, total - amount, facts.pool_max_size)
        again = neighbours(facts.pool, state.orchestrator, total, facts.pool_max_size)
        bonding = self.reader.client.bonding
        return Change(
            purpose=f"{state.orchestrator} round {state.round} of {state.stake}: {amount} to {self.receiver}",
            title=f"move {lpt_text(amount)} of stake to {self.receiver}",
            call=bonding.call(TRANSFER_BOND, self.receiver, amount, *lower, *again),
            function=TRANSFER_BOND,
        )
