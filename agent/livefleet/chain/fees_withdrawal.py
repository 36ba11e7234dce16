"""Sends earned ETH to a cold address once there is enough, and leaves the account what its gas needs.

Source: BondingManager.withdrawFees, which pays with 2300 gas.
"""

from dataclasses import dataclass

from livefleet.chain.change import Change, DutyPlan, DutyState, blocked, in_step, not_now
from livefleet.chain.contracts.bonding_manager import WITHDRAW_FEES
from livefleet.chain.errors import Reverted
from livefleet.chain.on_chain import OnChainReader, OnChainState
from livefleet.kernel import Address, Wei
from livefleet.spec.amounts import eth_text

__all__ = ["FeesObserved", "FeesWithdrawalDuty", "shares"]


@dataclass(frozen=True, slots=True)
class FeesObserved:
    """What the decision rests on."""

    state: OnChainState
    balance: Wei = Wei(0)  # of the orchestrator's account; read where there is enough to withdraw
    refusal: str = ""  # why the recipient would not be paid


def shares(*, fees: int, balance: int, keep: int, unit: int) -> tuple[Wei, Wei]:
    """(what the account itself gets, what the recipient gets), the latter in whole units. Pure.

    The account is filled up to `keep` when it holds less than half of that: filling it takes gas out of it again.
    """
    own = min(keep - balance, fees) if balance * 2 < keep else 0
    return Wei(own), Wei((fees - own) // unit * unit)


@dataclass(frozen=True, slots=True)
class FeesWithdrawalDuty:
    """One orchestrator's fees. `unit`: amounts are rounded down to it, so that a proposal stands for a while."""

    reader: OnChainReader
    recipient: Address
    above: int  # wei
    keep: int  # wei
    unit: int = 1  # wei
    topic: str = "fees"

    async def observe(self, max_age_s: float) -> FeesObserved:
        """The fees; and where there are enough, the account's balance and whether the recipient can be paid."""
        state = await self.reader.look(max_age_s)
        if not self._is_due(state) or not_now(state, "") is not None:
            return FeesObserved(state)
        client = self.reader.client
        balance = await client.rpc.balance(state.orchestrator)
        _, rest = self._shares(state, balance)
        if not rest:
            return FeesObserved(state, Wei(balance))
        try:
            await client.rpc.simulate(client.bonding.withdraw_fees_call(self.recipient, rest), state.orchestrator)
        except Reverted as error:
            return FeesObserved(state, Wei(balance), error.reason or "it gives no reason")
        return FeesObserved(state, Wei(balance))

    def plan(self, observed: FeesObserved) -> DutyPlan:
        """What goes where. Pure."""
        state = observed.state
        text = f"{eth_text(state.fees)} of fees"
        if not self._is_due(state):
            return in_step("Below", f"{text}, withdrawn from {eth_text(self.above)} on")
        if (wait := not_now(state, text)) is not None:
            return wait
        if observed.refusal:
            why = f"the contract refuses to pay {self.recipient}: {observed.refusal}"
            hint = "name a plain account: contracts that need more than 2300 gas to be paid cannot be"
            return blocked("Refused", f"{text}; {why}; {hint}")
        own, rest = self._shares(state, observed.balance)
        changes = tuple(
            self._change(state, to, amount)
            for to, amount in ((state.orchestrator, own), (self.recipient, rest))
            if amount
        )
        if not changes:
            return in_step("Below", text)
        return DutyPlan(DutyState.CHANGING, "Due", f"{text}: {eth_text(own)} for gas, {eth_text(rest)} out", changes)

    def _is_due(self, state: OnChainState) -> bool:
        return state.fees > 0 and state.fees >= self.above

    def _shares(self, state: OnChainState, balance: int) -> tuple[Wei, Wei]:
        return shares(fees=state.fees, balance=balance, keep=self.keep, unit=self.unit)

    def _change(self, state: OnChainState, to: Address, amount: Wei) -> Change:
        return Change(
            purpose=f"{state.orchestrator} round {state.round} of {state.fees}: {amount} to {to}",
            title=f"withdraw {eth_text(amount)} of fees to {to}",
            call=self.reader.client.bonding.withdraw_fees_call(to, amount),
            function=WITHDRAW_FEES,
        )
