"""Keeps the orchestrator's own stake at the declared minimum: bonds what is short, unbonds nothing.

The delegate is looked at first: stake that is with another orchestrator counts as pending stake too, and a bond to
oneself would move all of it. Source: BondingManager.bondWithHint.
"""

from collections.abc import Callable
from dataclasses import dataclass

from livefleet.chain.change import Change, DutyPlan, DutyState, blocked, in_step, not_now, waiting
from livefleet.chain.contracts.bonding_manager import BOND_WITH_HINT, POOL_MAX_SIZE
from livefleet.chain.contracts.livepeer_token import ALLOWANCE, APPROVE, BALANCE_OF
from livefleet.chain.on_chain import OnChainReader, OnChainState
from livefleet.chain.pool import PoolMember, neighbours, read_pool
from livefleet.chain.reward_schedule import may_wait
from livefleet.kernel import ZERO_ADDRESS, Address, Wei
from livefleet.spec.amounts import lpt_text

__all__ = ["SelfStakeDuty", "StakeFacts", "StakeObserved", "bond_changes", "elsewhere", "lpt_short", "read_stake_facts"]


_SOON_S = 15.0  # while tickets are being redeemed


@dataclass(frozen=True, slots=True)
class StakeFacts:
    """What bonding needs beside the state; read only where stake is short."""

    lpt: int  # LPTU of the account
    allowance: int  # LPTU that the BondingManager may take
    eth: Wei  # of the account
    pool: tuple[PoolMember, ...]  # highest stake first
    pool_max_size: int


@dataclass(frozen=True, slots=True)
class StakeObserved:
    """The state, and the facts where there is something to bond."""

    state: OnChainState
    facts: StakeFacts | None

    @property
    def stake(self) -> int:
        """LPTU bonded to itself."""
        return 0 if self.state.is_elsewhere else self.state.stake


async def read_stake_facts(reader: OnChainReader, amount: int = 0) -> StakeFacts:
    """All of them, at one block; the pool, which is dear to read, only where the account could bond `amount`."""
    client, own = reader.client, reader.orchestrator
    block = await client.rpc.block_number()
    (lpt,), (allowance,), (max_size,) = await client.rpc.read_all(
        [
            client.token.read(BALANCE_OF, own),
            client.token.read(ALLOWANCE, own, client.bonding.address),
            client.bonding.read(POOL_MAX_SIZE),
        ],
        block=block,
    )
    pool = await read_pool(client.bonding, block) if lpt >= amount else ()
    return StakeFacts(lpt, allowance, Wei(await client.rpc.balance(own)), pool, max_size)


def elsewhere(state: OnChainState) -> DutyPlan:
    """Stake that is with another orchestrator is left there."""
    return blocked(
        "DelegatedElsewhere",
        f"{state.orchestrator} is bonded to {state.delegator.delegate_address}: a bond to itself would move all of its "
        f"{lpt_text(state.stake)} there; move it by hand if that is meant",
    )


def lpt_short(account: Address, facts: StakeFacts, amount: int) -> DutyPlan | None:
    """That the account holds too little LPT to bond `amount`, None where it holds enough."""
    if facts.lpt >= amount:
        return None
    missing = amount - facts.lpt
    text = f"{lpt_text(amount)} are to be bonded and {account} holds {lpt_text(facts.lpt)}: send it {lpt_text(missing)}"
    return blocked("TooLittleLpt", text)


def bond_changes(reader: OnChainReader, observed: StakeObserved, amount: int) -> tuple[Change, ...]:
    """Approve exactly what is bonded, unless that much is approved, and bond it at its place in the pool. Pure."""
    facts, own, client = observed.facts, observed.state.orchestrator, reader.client
    assert facts is not None  # read wherever there is something to bond
    before = observed.state.delegator.delegated_amount
    approve = Change(
        purpose=f"{own} approve {amount} at stake {observed.stake}",
        title=f"let the BondingManager take {lpt_text(amount)}",
        call=client.token.approve_call(client.bonding.address, amount),
        function=APPROVE,
    )
    previous, following = neighbours(facts.pool, own, before + amount, facts.pool_max_size)
    bond = Change(
        purpose=f"{own} bond {amount} at stake {observed.stake}",
        title=f"bond {lpt_text(amount)} to {own}",
        call=client.bonding.call(BOND_WITH_HINT, amount, own, ZERO_ADDRESS, ZERO_ADDRESS, previous, following),
        function=BOND_WITH_HINT,
    )
    return (bond,) if facts.allowance >= amount else (approve, bond)


@dataclass(frozen=True, slots=True)
class SelfStakeDuty:
    """One orchestrator's own stake.

    `first`: what goes before stake that may put an evicted orchestrator back into the pool, and so end its activity in
    this round; in words, empty where nothing does.
    """

    reader: OnChainReader
    minimum: int  # LPTU
    topic: str = "self-stake"
    first: Callable[[], str] = lambda: ""

    async def observe(self, max_age_s: float) -> StakeObserved:
        """Stake, and where it is short what could be bonded."""
        observed = StakeObserved(await self.reader.look(max_age_s), None)
        if not observed.state.is_registered or observed.stake >= self.minimum:
            return observed
        short = self.minimum - observed.stake
        return StakeObserved(observed.state, await read_stake_facts(self.reader, short))

    def plan(self, observed: StakeObserved) -> DutyPlan:
        """What to bond, or why not now. Pure."""
        state = observed.state
        if state.is_elsewhere:
            return elsewhere(state)
        if not state.is_registered:
            text = f"{state.orchestrator} is no orchestrator yet: `on_chain.activate` makes it one"
            return waiting("NotRegistered", text)
        short = self.minimum - observed.stake
        text = f"own stake {lpt_text(observed.stake)}, declared {lpt_text(self.minimum)} at least"
        if short <= 0:
            return in_step("Enough", text)
        if (wait := not_now(state, text)) is not None:
            return wait
        if state.is_leaving and not state.has_called_reward:
            why = f"evicted from the pool in round {state.round}: reward comes first, else it would be lost"
            return waiting("RewardFirst", f"{text}; {why}")
        has_time = may_wait(state.head.blocks_left_in_round, state.head.round_length)
        if state.is_leaving and has_time and (first := self.first()):
            why = f"evicted from the pool in round {state.round}, and coming back would end its activity: {first} first"
            return waiting("RedeemFirst", f"{text}; {why}", again_after_s=_SOON_S)
        assert observed.facts is not None  # observed where stake is short
        if (lacking := lpt_short(state.orchestrator, observed.facts, short)) is not None:
            return lacking
        return DutyPlan(DutyState.CHANGING, "Short", text, bond_changes(self.reader, observed, short))
