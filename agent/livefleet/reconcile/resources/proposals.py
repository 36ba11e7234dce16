"""Whether somebody with a key that no host has is waited for."""

from livefleet.chain import IDLE_S, Proposal, ProposalBox
from livefleet.kernel import Condition, Status
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["ProposalsResource"]

_NAMED = 5


class ProposalsResource:
    """Says which proposals stand. Nothing is done about them here."""

    name = "proposals"

    def __init__(self, box: ProposalBox) -> None:
        self._box = box

    async def observe(self) -> tuple[Proposal, ...]:
        """Those that stand."""
        return self._box.open()

    def plan(self, observed: tuple[Proposal, ...]) -> Plan:
        """One condition over all."""
        if not observed:
            return _said(Status.TRUE, "None", "nothing waits for a signature")
        named = ", ".join(f"{proposal.id} ({proposal.title})" for proposal in observed[:_NAMED])
        more = f" and {len(observed) - _NAMED} more" if len(observed) > _NAMED else ""
        text = f"{len(observed)} proposal(s) wait for a signature: {named}{more}; fetch them: `livefleet chain pending`"
        return _said(Status.FALSE, "Waiting", text)

    async def apply(self, action: Action) -> None:
        """There is nothing to do."""


def _said(status: Status, reason: str, text: str) -> Plan:
    return Plan((), (Condition("ProposalsOpen", status, reason, text, gates_ready=False),), Again(IDLE_S))
