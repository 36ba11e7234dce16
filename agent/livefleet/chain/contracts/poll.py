"""Polls about the protocol itself (LIP-16, LIP-19): votes are events, and the count is made off chain."""

from dataclasses import dataclass
from enum import IntEnum

from livefleet.chain.abi import Event, Function
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.models import Call
from livefleet.kernel import Address, BlockNumber

__all__ = ["Choice", "Poll", "PollCreated", "PollCreator"]

CREATE_POLL = Function.parse("createPoll(bytes proposal)")
END_BLOCK = Function.parse("endBlock() returns (uint256)")
VOTE = Function.parse("vote(uint256 choiceID)")
POLL_CREATED = Event.parse(
    "PollCreated(address indexed poll, bytes proposal, uint256 endBlock, uint256 quorum, uint256 quota)"
)
POLL_VOTE = Event.parse("Vote(address indexed voter, uint256 choiceID)")


class Choice(IntEnum):
    """What a vote in a poll says."""

    YES = 0
    NO = 1


@dataclass(frozen=True, slots=True)
class PollCreated:
    """A poll as its event tells it."""

    address: Address
    proposal: bytes  # by custom the IPFS hash of a LIP's text, in ASCII
    end_block: BlockNumber  # L1; the last one in which votes count
    quorum: int  # parts of 1,000,000 of all stake
    quota: int  # parts of 1,000,000 of the votes

    @classmethod
    def from_log(cls, topics: tuple[bytes, ...], data: bytes) -> "PollCreated":
        """Read a PollCreated log."""
        address, proposal, end_block, quorum, quota = POLL_CREATED.decode(topics, data)
        return cls(address, bytes(proposal), BlockNumber(end_block), quorum, quota)

    @property
    def subject(self) -> str:
        """The proposal as text: what it says in ASCII, hex otherwise."""
        text = self.proposal.decode("ascii", errors="replace")
        return text if text.isprintable() and "�" not in text else "0x" + self.proposal.hex()


class PollCreator(Contract):
    """Opens polls for accounts with stake enough; spends none."""

    def create_call(self, proposal: bytes) -> Call:
        """Open a poll about `proposal`."""
        return self.call(CREATE_POLL, proposal)


class Poll(Contract):
    """One question. The last vote of an account counts."""

    async def end_block(self) -> BlockNumber:
        """The last L1 block in which votes count."""
        return BlockNumber(await self.ask(END_BLOCK))

    def vote_call(self, choice: Choice) -> Call:
        """Vote; reverts `poll is over` after the last block."""
        return self.call(VOTE, int(choice))
