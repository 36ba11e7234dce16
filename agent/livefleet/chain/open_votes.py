"""The votes that one account is waited for, kept up to date with few requests.

What is open is found once, by reading the blocks of one voting period, and from then on by the logs of the blocks
since the last look. Whether a vote is still to come follows from rounds, which are read once a look; only votes that
can be cast and were not are asked about one by one.
"""

from dataclasses import dataclass
from enum import StrEnum

from livefleet.chain.client import ChainClient
from livefleet.chain.contracts import PollCreated, ProposalCreated
from livefleet.chain.errors import Reverted
from livefleet.chain.governance import Governance
from livefleet.chain.vote_text import title_of
from livefleet.kernel import Address, Round, Transient

__all__ = ["OpenVote", "OpenVotes", "VoteKind"]

_OVERLAP_BLOCKS = 64  # read again at each look, for what a reorganisation put in the place of blocks that were seen


class VoteKind(StrEnum):
    """What is voted on."""

    PROPOSAL = "proposal"
    POLL = "poll"


@dataclass(frozen=True, slots=True)
class OpenVote:
    """A vote that is going on or about to, and the account's part in it."""

    kind: VoteKind
    id: str  # a proposal's number, a poll's address
    title: str
    weight: int  # LPTU that the account votes with; 0 before voting begins
    begins_in: int  # rounds until votes can be cast; 0: now
    rounds_left: int  # of voting, this one included
    has_voted: bool

    @property
    def is_awaited(self) -> bool:
        """Whether the account can vote now and did not."""
        return not self.begins_in and not self.has_voted and self.weight > 0


class OpenVotes:
    """Looks on behalf of one account. Holds what it found; a new one begins anew."""

    def __init__(self, client: ChainClient, account: Address, *, l1_block_s: float = 12.0) -> None:
        self._client = client
        self._account = account
        self._l1_block_s = l1_block_s
        self._governance: Governance | None = None
        self._next: int | None = None
        self._proposals: dict[int, ProposalCreated] = {}
        self._weights: dict[int, int] = {}
        self._polls: dict[Address, PollCreated] = {}
        self._voted: set[int | Address] = set()

    async def look(self) -> tuple[OpenVote, ...]:
        """Every vote that is open now, the first to end first. Raises Transient, NoProtocol."""
        try:
            return await self._look()
        except Reverted as error:
            self._forget()
            raise Transient(f"a proposal is gone, maybe with a block that was replaced: {error.reason}") from error

    async def _look(self) -> tuple[OpenVote, ...]:
        governance = await self._found()
        last = await self._client.rpc.block_number()
        first = await self._first(governance, last)
        begun = await governance.begun(first, last)
        self._proposals |= {proposal.id: proposal for proposal in begun.proposals}
        self._polls |= {poll.address: poll for poll in begun.polls}
        round_ = await governance.current_round()
        found = [*await self._open_proposals(governance, round_), *await self._open_polls(governance, first, last)]
        self._next = last + 1
        return tuple(sorted(found, key=lambda vote: (vote.begins_in + vote.rounds_left, vote.id)))

    async def _open_proposals(self, governance: Governance, round_: Round) -> list[OpenVote]:
        self._proposals = {id_: one for id_, one in self._proposals.items() if one.deadline >= round_}
        votable = [one for one in self._proposals.values() if one.snapshot < round_]
        unsettled = [one.id for one in votable if one.id not in self._voted and self._weights.get(one.id) != 0]
        states = await governance.states(unsettled)
        for id_, state in zip(unsettled, states, strict=True):
            if not state.is_open:
                del self._proposals[id_]  # cancelled
        asked = [id_ for id_ in unsettled if id_ in self._proposals]
        voted = await governance.have_voted(asked, self._account)
        self._voted |= {id_ for id_, has_voted in zip(asked, voted, strict=True) if has_voted}
        for id_ in asked:
            if id_ not in self._weights:
                self._weights[id_] = await governance.weight(self._proposals[id_], self._account)
        return [
            OpenVote(
                kind=VoteKind.PROPOSAL,
                id=str(one.id),
                title=title_of(one.description),
                weight=self._weights.get(one.id, 0),
                begins_in=max(one.snapshot + 1 - round_, 0),
                rounds_left=one.deadline - max(round_, one.snapshot + 1) + 1,
                has_voted=one.id in self._voted,
            )
            for one in self._proposals.values()
        ]

    async def _open_polls(self, governance: Governance, first: int, last: int) -> list[OpenVote]:
        if not self._polls:
            return []
        block, length = await self._client.rounds.block_num(), await self._client.rounds.round_length()
        self._polls = {address: poll for address, poll in self._polls.items() if poll.end_block >= block}
        choices = await governance.choices(list(self._polls), first, last, self._account)
        self._voted |= {address for address, voters in choices.items() if voters}
        weight = await governance.votes.votes(self._account) if self._polls.keys() - self._voted else 0
        return [
            OpenVote(
                kind=VoteKind.POLL,
                id=address,
                title=title_of(poll.subject),
                weight=weight,
                begins_in=0,
                rounds_left=(poll.end_block - block) // length + 1,
                has_voted=address in self._voted,
            )
            for address, poll in self._polls.items()
        ]

    async def _found(self) -> Governance:
        if self._governance is None:
            self._governance = await Governance.find(self._client)
        return self._governance

    async def _first(self, governance: Governance, last: int) -> int:
        if self._next is None or self._next > last + 1:  # the chain is shorter than it was: begin anew
            self._forget()
            return await governance.oldest_open(last, l1_block_s=self._l1_block_s)
        return max(governance.first_block, self._next - _OVERLAP_BLOCKS)

    def _forget(self) -> None:
        self._next = None
        self._proposals, self._weights, self._polls, self._voted = {}, {}, {}, set()
