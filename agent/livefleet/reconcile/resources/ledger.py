"""The books carried forward and compared with the chain.

Nothing here changes the chain: it reads, tells, and looks again when a round begins or its time is over.
"""

from collections.abc import Callable
from dataclasses import dataclass

from livefleet.kernel import Condition, Status
from livefleet.ledger import Balances, Checked, Ledger
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["LedgerResource", "ObservedLedger"]


@dataclass(frozen=True, slots=True)
class ObservedLedger:
    """The books after they were carried forward."""

    checked: Checked
    balances: Balances


class LedgerResource:
    """Carries the books to the newest block that no reorganisation is expected to replace, and checks them there."""

    name = "ledger"

    def __init__(self, ledger: Ledger, safe_block: Callable[[], int], *, every_s: float) -> None:
        self._ledger = ledger
        self._safe_block = safe_block
        self._every_s = every_s
        self.observed: ObservedLedger | None = None
        """As of the last look; for reading only."""

    async def observe(self) -> ObservedLedger:
        """Book what is new, and compare."""
        await self._ledger.advance(self._safe_block())
        self.observed = ObservedLedger(await self._ledger.check(), await self._ledger.balances())
        return self.observed

    def plan(self, observed: ObservedLedger) -> Plan:
        """Say whether books and chain agree to the last wei."""
        return Plan((), (_balanced(observed.checked),), Again(self._every_s))

    async def apply(self, action: Action) -> None:
        """There is nothing to do."""


def _balanced(checked: Checked) -> Condition:
    if checked.differences:
        text = "; ".join(map(str, checked.differences))
        advice = "keep the ledger file and report it; the chain's own figures hold"
        return _condition(Status.FALSE, "Differs", f"at block {checked.block}: {text}; {advice}")
    if checked.unexplained:
        text = f"wallets moved {checked.unexplained} wei that nothing known explains: an archive endpoint would tell"
        return _condition(Status.FALSE, "Unexplained", text)
    text = f"every account agrees with the chain at block {checked.block}, round {checked.round}"
    return _condition(Status.TRUE, "Balanced", text)


def _condition(status: Status, reason: str, message: str) -> Condition:
    return Condition("LedgerBalanced", status, reason, message, gates_ready=False)
