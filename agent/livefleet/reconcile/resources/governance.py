"""Votes that the orchestrator is waited for. Voting itself needs its key and a person's mind."""

from livefleet.chain import ChainClient, NoProtocol, OpenVote, OpenVotes
from livefleet.kernel import Address, Condition, Status
from livefleet.reconcile.model import Action, Again, Plan
from livefleet.spec.amounts import lpt_text

__all__ = ["GovernanceResource"]

_EVERY_S = 3600.0  # votes are open for days
_NAMED = 3


class GovernanceResource:
    """Says which proposals and polls are open and not voted on. Nothing is done about them here."""

    name = "governance"

    def __init__(
        self, client: ChainClient, orchestrator: Address, *, every_s: float = _EVERY_S, l1_block_s: float = 12.0
    ) -> None:
        self._votes = OpenVotes(client, orchestrator, l1_block_s=l1_block_s)
        self._orchestrator = orchestrator
        self._every_s = every_s

    async def observe(self) -> tuple[OpenVote, ...] | None:
        """Every open vote; None where the chain has no governance contracts. Raises Transient."""
        try:
            return await self._votes.look()
        except NoProtocol:
            return None

    def plan(self, observed: tuple[OpenVote, ...] | None) -> Plan:
        """One condition over all; false while a vote can be cast and was not."""
        if observed is None:
            return self._said(Status.TRUE, "NoGovernance", "the Controller of this chain knows no governor")
        awaited = [vote for vote in observed if vote.is_awaited]
        if awaited:
            return self._said(Status.FALSE, "NotVoted", self._asking(awaited))
        coming = [vote for vote in observed if vote.begins_in]
        if coming:
            return self._said(Status.TRUE, "Coming", f"voting begins later: {'; '.join(map(_coming, coming[:_NAMED]))}")
        if observed:
            return self._said(
                Status.TRUE, "Voted", f"{len(observed)} open vote(s), none waits for {self._orchestrator}"
            )
        return self._said(Status.TRUE, "None", "no vote is open")

    async def apply(self, action: Action) -> None:
        """There is nothing to do."""

    def _asking(self, awaited: list[OpenVote]) -> str:
        named = "; ".join(map(_open, awaited[:_NAMED]))
        more = f"; and {len(awaited) - _NAMED} more" if len(awaited) > _NAMED else ""
        how = "read with `livefleet chain proposal` or `livefleet chain polls`, vote with `livefleet chain vote`"
        return f"{len(awaited)} vote(s) wait for {self._orchestrator}: {named}{more}; {how}"

    def _said(self, status: Status, reason: str, text: str) -> Plan:
        return Plan((), (Condition("VotesOpen", status, reason, text, gates_ready=False),), Again(self._every_s))


def _open(vote: OpenVote) -> str:
    rounds = "this round is the last" if vote.rounds_left == 1 else f"{vote.rounds_left} rounds left"
    return f"{vote.kind} {vote.id} ({vote.title}), {rounds}, weight {lpt_text(vote.weight)}"


def _coming(vote: OpenVote) -> str:
    return f"{vote.kind} {vote.id} ({vote.title}) in {vote.begins_in} round(s)"
