"""A vote that is about to be cast: looked over before anybody is asked to sign it."""

from dataclasses import dataclass

from livefleet.chain.abi import Function
from livefleet.chain.client import ChainClient
from livefleet.chain.contracts import Choice, PollCreated, ProposalCreated, ProposalState, Support
from livefleet.chain.contracts.governor import CAST_VOTE, CAST_VOTE_WITH_REASON
from livefleet.chain.contracts.poll import VOTE
from livefleet.chain.errors import Reverted
from livefleet.chain.governance import Governance
from livefleet.chain.models import Call
from livefleet.chain.proposal import Proposal, propose, proposed_call
from livefleet.chain.vote_text import title_of
from livefleet.kernel import Address, OutsideWorld
from livefleet.spec.amounts import lpt_text

__all__ = ["Ballot", "in_poll", "on_proposal"]


@dataclass(frozen=True, slots=True)
class Ballot:
    """One account's vote, known to be countable now."""

    voter: Address
    subject: str  # `proposal 123… (title)`
    says: str  # `for`, `no`
    weight: int  # LPTU
    reason: str
    call: Call
    function: Function

    def proposal(self, *, chain_id: int, made_at: float) -> Proposal:
        """The vote as a proposal for the holder of the voter's key."""
        return propose(
            chain_id=chain_id,
            signer=self.voter,
            topic=f"vote {self.subject}",
            title=f"vote {self.says} on {self.subject}",
            reason=self.reason or f"{lpt_text(self.weight)} of votes, no reason given",
            calls=[proposed_call(self.call, self.function)],
            made_at=made_at,
        )


async def on_proposal(
    client: ChainClient,
    governance: Governance,
    proposal: ProposalCreated,
    *,
    voter: Address,
    support: Support,
    reason: str = "",
) -> Ballot:
    """A vote on a treasury proposal. It is cast once and cannot be changed.

    Raises OutsideWorld, with what to do, where the governor would not count it now.
    """
    standing = await governance.standing(proposal, voter)
    round_ = await governance.current_round()
    if standing.state is ProposalState.PENDING:
        raise OutsideWorld(
            f"voting on proposal {proposal.id} begins in round {proposal.snapshot + 1}; this is round {round_}"
        )
    if standing.state is not ProposalState.ACTIVE:
        raise OutsideWorld(
            f"voting on proposal {proposal.id} is over: it is {standing.state.name.lower()} (last round of voting: "
            f"{proposal.deadline})"
        )
    if standing.has_voted:
        raise OutsideWorld(f"{voter} has voted on proposal {proposal.id}, and a vote cannot be changed")
    if not standing.weight:
        raise OutsideWorld(
            f"{voter} has no votes on proposal {proposal.id}: stake counts from the round after it was made, and this "
            f"one looks at round {proposal.snapshot}. Stake that is older than October 2023 may need "
            "`checkpointBondingState` once, for later proposals"
        )
    call = governance.governor.cast_vote_call(proposal.id, support, reason)
    await _try(client, call, voter)
    return Ballot(
        voter=voter,
        subject=f"proposal {proposal.id} ({title_of(proposal.description)})",
        says=support.name.lower(),
        weight=standing.weight,
        reason=reason,
        call=call,
        function=CAST_VOTE_WITH_REASON if reason else CAST_VOTE,
    )


async def in_poll(
    client: ChainClient, governance: Governance, poll: PollCreated, *, voter: Address, choice: Choice
) -> Ballot:
    """A vote in a protocol poll. The last one of an account counts, with its stake at the poll's end.

    Raises OutsideWorld where the poll is over or the voter has no stake.
    """
    block = await client.rounds.block_num()
    if block > poll.end_block:
        raise OutsideWorld(f"poll {poll.address} ended at L1 block {poll.end_block}; this is block {block}")
    weight = await governance.votes.votes(voter)
    if not weight:
        raise OutsideWorld(f"{voter} has no stake that a vote in poll {poll.address} would be counted with")
    call = governance.poll(poll.address).vote_call(choice)
    await _try(client, call, voter)
    subject = f"poll {poll.address} ({title_of(poll.subject)})"
    return Ballot(voter, subject, choice.name.lower(), weight, "", call, VOTE)


async def _try(client: ChainClient, call: Call, voter: Address) -> None:
    try:
        await client.rpc.simulate(call, voter)
    except Reverted as error:
        raise OutsideWorld(
            f"the vote would not be counted: {error.reason or 'the contract gives no reason'}"
        ) from error
