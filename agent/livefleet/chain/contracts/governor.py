"""The LivepeerGovernor: proposals of what the treasury does, and votes on them. Source: OpenZeppelin Governor 4.9."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from livefleet.chain.abi import Event, Function, to_raw
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.models import Call
from livefleet.chain.signature import checksum_address, keccak256
from livefleet.kernel import Address, Round, Wei

__all__ = ["Governor", "ProposalCreated", "ProposalState", "Support"]

STATE = Function.parse("state(uint256 proposalId) returns (uint8)")
PROPOSAL_SNAPSHOT = Function.parse("proposalSnapshot(uint256 proposalId) returns (uint256)")
PROPOSAL_DEADLINE = Function.parse("proposalDeadline(uint256 proposalId) returns (uint256)")
PROPOSAL_VOTES = Function.parse(
    "proposalVotes(uint256 proposalId) returns (uint256 againstVotes, uint256 forVotes, uint256 abstainVotes)"
)
PROPOSAL_THRESHOLD = Function.parse("proposalThreshold() returns (uint256)")
HAS_VOTED = Function.parse("hasVoted(uint256 proposalId, address account) returns (bool)")
QUORUM = Function.parse("quorum(uint256 timepoint) returns (uint256)")
QUOTA = Function.parse("quota() returns (uint256)")
VOTING_DELAY = Function.parse("votingDelay() returns (uint256)")
VOTING_PERIOD = Function.parse("votingPeriod() returns (uint256)")
PROPOSE = Function.parse(
    "propose(address[] targets, uint256[] values, bytes[] calldatas, string description) returns (uint256)"
)
CAST_VOTE = Function.parse("castVote(uint256 proposalId, uint8 support) returns (uint256)")
CAST_VOTE_WITH_REASON = Function.parse(
    "castVoteWithReason(uint256 proposalId, uint8 support, string reason) returns (uint256)"
)
QUEUE = Function.parse(
    "queue(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash) returns (uint256)"
)
EXECUTE = Function.parse(
    "execute(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash) returns (uint256)"
)
PROPOSAL_CREATED = Event.parse(
    "ProposalCreated(uint256 proposalId, address proposer, address[] targets, uint256[] values, string[] signatures, "
    "bytes[] calldatas, uint256 voteStart, uint256 voteEnd, string description)"
)
VOTE_CAST = Event.parse(
    "VoteCast(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string reason)"
)


class ProposalState(IntEnum):
    """How far a proposal has come. Source: IGovernor.ProposalState."""

    PENDING = 0
    ACTIVE = 1
    CANCELED = 2
    DEFEATED = 3
    SUCCEEDED = 4
    QUEUED = 5
    EXPIRED = 6
    EXECUTED = 7

    @property
    def is_open(self) -> bool:
        """Whether its vote is still to come or going on."""
        return self in {ProposalState.PENDING, ProposalState.ACTIVE}


class Support(IntEnum):
    """What a vote says."""

    AGAINST = 0
    FOR = 1
    ABSTAIN = 2


@dataclass(frozen=True, slots=True)
class ProposalCreated:
    """A proposal as its event tells it, which is the only place where it stands whole."""

    id: int
    proposer: Address
    targets: tuple[Address, ...]
    values: tuple[Wei, ...]
    calldatas: tuple[bytes, ...]
    snapshot: Round  # stake at the end of this round votes; voting begins in the next
    deadline: Round  # the last round of voting
    description: str

    @classmethod
    def from_log(cls, topics: tuple[bytes, ...], data: bytes) -> "ProposalCreated":
        """Read a ProposalCreated log."""
        id_, proposer, targets, values, _, calldatas, start, end, description = PROPOSAL_CREATED.decode(topics, data)
        return cls(
            id=id_,
            proposer=proposer,
            targets=tuple(checksum_address(to_raw(target)) for target in targets),
            values=tuple(Wei(value) for value in values),
            calldatas=tuple(bytes(calldata) for calldata in calldatas),
            snapshot=Round(start),
            deadline=Round(end),
            description=description,
        )


class Governor(Contract):
    """Reads of proposals; votes, and the two steps after a vote that anybody may take."""

    async def voting_delay(self) -> int:
        """Rounds between the proposal and its snapshot."""
        return int(await self.ask(VOTING_DELAY))

    async def voting_period(self) -> int:
        """Rounds of voting."""
        return int(await self.ask(VOTING_PERIOD))

    async def proposal_threshold(self) -> int:
        """LPTU of votes that a proposer needs in the round before."""
        return int(await self.ask(PROPOSAL_THRESHOLD))

    async def quota(self) -> int:
        """Parts of 1,000,000 of the votes for and against that must be for."""
        return int(await self.ask(QUOTA))

    async def state(self, proposal: int) -> ProposalState:
        """How far a proposal has come. Raises Reverted for an unknown one."""
        return ProposalState(await self.ask(STATE, proposal))

    def cast_vote_call(self, proposal: int, support: Support, reason: str = "") -> Call:
        """Vote with all the signer's weight. Once, and never to be changed."""
        if reason:
            return self.call(CAST_VOTE_WITH_REASON, proposal, int(support), reason)
        return self.call(CAST_VOTE, proposal, int(support))

    def propose_call(
        self, targets: Sequence[Address], values: Sequence[Wei], calldatas: Sequence[bytes], description: str
    ) -> Call:
        """Propose that the treasury makes these calls."""
        return self.call(PROPOSE, list(targets), [int(value) for value in values], list(calldatas), description)

    def queue_call(self, proposal: ProposalCreated) -> Call:
        """Hand a proposal that succeeded to the treasury."""
        return self.call(QUEUE, *_content(proposal))

    def execute_call(self, proposal: ProposalCreated) -> Call:
        """Have the treasury do what was queued."""
        return self.call(EXECUTE, *_content(proposal))


def _content(proposal: ProposalCreated) -> tuple[list[Address], list[int], list[bytes], bytes]:
    return (
        list(proposal.targets),
        [int(value) for value in proposal.values],
        list(proposal.calldatas),
        keccak256(proposal.description.encode()),
    )
