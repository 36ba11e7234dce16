"""What stakers decide: proposals for the treasury and polls about the protocol, and where one account stands in them.

Neither can be enumerated on chain: they are found by the logs of their creation. What is open is never older than the
voting period, so that looking for it reads a stretch of blocks and not the chain's whole history.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from livefleet.chain.client import ARBITRUM_ONE_CHAIN_ID, ChainClient
from livefleet.chain.contracts import BondingVotes, Governor, Poll, PollCreated, PollCreator, ProposalCreated, Treasury
from livefleet.chain.contracts.bonding_votes import GET_PAST_VOTES
from livefleet.chain.contracts.governor import (
    HAS_VOTED,
    PROPOSAL_CREATED,
    PROPOSAL_VOTES,
    QUORUM,
    QUOTA,
    STATE,
    ProposalState,
)
from livefleet.chain.contracts.poll import POLL_CREATED, POLL_VOTE
from livefleet.chain.errors import NoProtocol
from livefleet.chain.logs import Log, LogReader
from livefleet.chain.rpc import Read
from livefleet.chain.treasury_action import TreasuryAction, describe
from livefleet.kernel import ZERO_ADDRESS, Address, Round

__all__ = ["Beginnings", "Governance", "Standing"]

_NAMES = ("BondingVotes", "LivepeerGovernor", "Treasury")
_KNOWN_PLACES = ("LivepeerToken", "BondingManager", "Minter", "TicketBroker", "RoundsManager", *_NAMES, "PollCreator")
_FIRST_BLOCKS = {ARBITRUM_ONE_CHAIN_ID: 5_857_075}  # of the PollCreator, the older of the two
_FASTEST_BLOCK_S = 0.25  # L2 blocks of Arbitrum One come no faster
_POLL_L1_BLOCKS = 57_600  # PollCreator.POLL_PERIOD of Arbitrum One
_SPARE_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Beginnings:
    """Proposals and polls that began in a stretch of blocks, the oldest first."""

    proposals: tuple[ProposalCreated, ...]
    polls: tuple[PollCreated, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a proposal stands, and an account in it. Amounts in LPTU."""

    state: ProposalState
    against: int
    in_favour: int
    abstain: int
    quorum: int | None  # votes that must be cast; None until the snapshot is over
    quota: int  # parts of 1,000,000 of the votes for and against that must be for
    weight: int | None  # the account's votes; None until the snapshot is over, or without an account
    has_voted: bool | None  # None without an account


class Governance:
    """The governance contracts of one chain. Stateless: whoever watches keeps its own cursor."""

    def __init__(self, client: ChainClient, addresses: dict[str, Address]) -> None:
        self._client = client
        self._logs = LogReader(client.rpc)
        self._names = {address: name for name, address in addresses.items() if address != ZERO_ADDRESS}
        self.votes = BondingVotes(client.rpc, addresses["BondingVotes"])
        self.governor = Governor(client.rpc, addresses["LivepeerGovernor"])
        self.treasury = Treasury(client.rpc, addresses["Treasury"])
        creator = addresses["PollCreator"]
        self.polls = PollCreator(client.rpc, creator) if creator != ZERO_ADDRESS else None

    @classmethod
    async def find(cls, client: ChainClient) -> "Governance":
        """Look the contracts up. Raises NoProtocol where the Controller does not know them."""
        found = await client.controller.addresses(_KNOWN_PLACES)
        missing = [name for name in _NAMES if found[name] == ZERO_ADDRESS]
        if missing:
            raise NoProtocol(f"the Controller {client.controller.address} does not know {', '.join(missing)}")
        return cls(client, found)

    @property
    def first_block(self) -> int:
        """No proposal or poll is older than this (L2) block."""
        return _FIRST_BLOCKS.get(self._client.chain_id, 0)

    async def oldest_open(self, last: int, *, l1_block_s: float) -> int:
        """A block that whatever is open at block `last` cannot have begun before."""
        rounds, governor = self._client.rounds, self.governor
        delay, period, length = (
            await governor.voting_delay(),
            await governor.voting_period(),
            await rounds.round_length(),
        )
        l1_blocks = max((delay + period + _SPARE_ROUNDS) * length, _POLL_L1_BLOCKS)
        return max(self.first_block, last - int(l1_blocks * l1_block_s / _FASTEST_BLOCK_S))

    async def begun(self, first: int, last: int) -> Beginnings:
        """What began in the (L2) blocks `first` to `last`."""
        proposals: list[ProposalCreated] = []
        polls: list[PollCreated] = []
        creator = self.polls.address if self.polls is not None else None
        sources = [self.governor.address, *([creator] if creator is not None else [])]
        async for _, logs in self._logs.read(
            addresses=sources,
            topics=[[PROPOSAL_CREATED.topic, POLL_CREATED.topic]],
            first=first,
            last=last,
        ):
            for log in logs:
                if log.address == self.governor.address and PROPOSAL_CREATED.matches(log.topics):
                    proposals.append(ProposalCreated.from_log(log.topics, log.data))
                elif log.address == creator and POLL_CREATED.matches(log.topics):
                    polls.append(PollCreated.from_log(log.topics, log.data))
        return Beginnings(tuple(proposals), tuple(polls))

    def actions(self, proposal: ProposalCreated) -> tuple[TreasuryAction, ...]:
        """What the treasury would do if the proposal passed."""
        parts = zip(proposal.targets, proposal.values, proposal.calldatas, strict=True)
        return tuple(describe(target, value, data, self._names) for target, value, data in parts)

    async def states(self, proposals: Sequence[int]) -> list[ProposalState]:
        """How far each has come. Raises Reverted for an unknown one, as after a reorganisation."""
        answers = await self._client.rpc.read_all([self.governor.read(STATE, id_) for id_ in proposals])
        return [ProposalState(state) for (state,) in answers]

    async def have_voted(self, proposals: Sequence[int], account: Address) -> list[bool]:
        """Whether the account voted on each."""
        reads = [self.governor.read(HAS_VOTED, id_, account) for id_ in proposals]
        return [bool(voted) for (voted,) in await self._client.rpc.read_all(reads)]

    async def weight(self, proposal: ProposalCreated, account: Address) -> int:
        """LPTU that the account votes with. Raises Reverted while the snapshot is not over."""
        return await self.votes.past_votes(account, proposal.snapshot)

    async def standing(self, proposal: ProposalCreated, account: Address | None) -> Standing:
        """How a proposal stands now. Raises Reverted for an unknown one."""
        governor = self.governor
        reads: list[Read] = [
            governor.read(STATE, proposal.id),
            governor.read(PROPOSAL_VOTES, proposal.id),
            governor.read(QUOTA),
        ]
        if account is not None:
            reads.append(governor.read(HAS_VOTED, proposal.id, account))
        (state,), votes, (quota,), *voted = await self._client.rpc.read_all(reads)
        quorum: int | None = None
        weight: int | None = None
        if ProposalState(state) is not ProposalState.PENDING:
            later = [governor.read(QUORUM, proposal.snapshot)]
            if account is not None:
                later.append(self.votes.read(GET_PAST_VOTES, account, proposal.snapshot))
            (quorum,), *weights = await self._client.rpc.read_all(later)
            weight = weights[0][0] if weights else None
        return Standing(
            state=ProposalState(state),
            against=votes[0],
            in_favour=votes[1],
            abstain=votes[2],
            quorum=quorum,
            quota=quota,
            weight=weight,
            has_voted=bool(voted[0][0]) if voted else None,
        )

    async def choices(
        self, polls: Sequence[Address], first: int, last: int, voter: Address | None = None
    ) -> dict[Address, dict[Address, int]]:
        """The last choice of each voter in each poll, from the votes in blocks `first` to `last`."""
        found: dict[Address, dict[Address, int]] = {poll: {} for poll in polls}
        if not polls:
            return found
        topics = [[POLL_VOTE.topic], *([[bytes(12) + bytes.fromhex(voter[2:])]] if voter is not None else [])]
        async for _, logs in self._logs.read(addresses=list(polls), topics=topics, first=first, last=last):
            for log in logs:
                self._count(found, log)
        return found

    def poll(self, address: Address) -> Poll:
        """One poll, to vote in."""
        return Poll(self._client.rpc, address)

    async def current_round(self) -> Round:
        """The round by time, which votes count in."""
        return await self._client.rounds.current_round()

    @staticmethod
    def _count(found: dict[Address, dict[Address, int]], log: Log) -> None:
        if log.address in found and POLL_VOTE.matches(log.topics):
            voter, choice = POLL_VOTE.decode(log.topics, log.data)
            found[log.address][voter] = choice
