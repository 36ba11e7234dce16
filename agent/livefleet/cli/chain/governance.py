"""What the governance commands share: finding proposals and polls, and showing them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livefleet.cli.output import console
from livefleet.kernel import BadInput

if TYPE_CHECKING:
    from livefleet.chain import ChainClient, Governance
    from livefleet.chain.contracts import PollCreated, ProposalCreated
    from livefleet.chain.governance import Beginnings, Standing
    from livefleet.spec import Network

__all__ = ["Found", "action_rows", "find", "pick_poll", "pick_proposal", "share_text", "standing_json"]

_SHORTEST = 6  # digits of a proposal's number that may stand for all of it


@dataclass(frozen=True, slots=True)
class Found:
    """What began lately, or ever."""

    governance: "Governance"
    beginnings: "Beginnings"
    first: int  # the (L2) blocks that were looked at
    last: int


async def find(client: "ChainClient", network: "Network", *, everything: bool) -> Found:
    """Proposals and polls: those that can be open, or `everything` since the contracts were made. Raises Transient."""
    from livefleet.chain import Governance

    governance = await Governance.find(client)
    last = await client.rpc.block_number()
    first = governance.first_block
    if not everything:
        first = await governance.oldest_open(last, l1_block_s=network.l1_block_s)
    elif last - first > 10**6:
        console(stderr=True).print(f"reading the logs of {last - first} blocks; this takes minutes")
    return Found(governance, await governance.begun(first, last), first, last)


def pick_proposal(found: Found, text: str) -> "ProposalCreated":
    """The proposal that `text` means: its number, decimal or 0x, or the first digits of it. Raises BadInput."""
    proposals = found.beginnings.proposals
    try:
        wanted = str(int(text, 16)) if text.startswith("0x") else str(int(text))
    except ValueError:
        raise BadInput(f"{text!r} is no proposal's number") from None
    exact = [one for one in proposals if str(one.id) == wanted]
    matching = exact or [one for one in proposals if len(text) >= _SHORTEST and str(one.id).startswith(text)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise BadInput(f"{text}: several proposals begin so: {', '.join(str(one.id) for one in matching)}")
    known = ", ".join(str(one.id) for one in proposals) or "there is none"
    raise BadInput(f"{text}: no such proposal; found: {known}. Older ones need --all")


def pick_poll(found: Found, text: str) -> "PollCreated":
    """The poll at this address. Raises BadInput where the PollCreator made none there."""
    for poll in found.beginnings.polls:
        if poll.address.lower() == text.lower():
            return poll
    known = ", ".join(poll.address for poll in found.beginnings.polls) or "there is none"
    raise BadInput(f"{text}: no such poll; found: {known}. Older ones need --all")


def share_text(part: int, whole: int) -> str:
    """A share in percent, two digits after the point, rounded down."""
    hundredths = part * 10_000 // whole if whole else 0
    return f"{hundredths // 100}.{hundredths % 100:02d}%"


def action_rows(found: Found, proposal: "ProposalCreated") -> list[dict[str, Any]]:
    """What the treasury would do, for machines."""
    return [
        {
            "target": action.target,
            "value_wei": action.value,
            "data": "0x" + action.data.hex(),
            "text": action.text,
            "is_known": action.is_known,
        }
        for action in found.governance.actions(proposal)
    ]


def standing_json(proposal: "ProposalCreated", standing: "Standing", round_: int) -> dict[str, Any]:
    """How a proposal stands, for machines; amounts in LPTU as text."""
    from livefleet.chain.vote_text import title_of

    return {
        "id": str(proposal.id),
        "title": title_of(proposal.description),
        "proposer": proposal.proposer,
        "state": standing.state.name.lower(),
        "first_round_of_voting": proposal.snapshot + 1,
        "last_round_of_voting": proposal.deadline,
        "rounds_left": max(proposal.deadline - round_ + 1, 0) if standing.state.is_open else 0,
        "for_lptu": str(standing.in_favour),
        "against_lptu": str(standing.against),
        "abstain_lptu": str(standing.abstain),
        "quorum_lptu": None if standing.quorum is None else str(standing.quorum),
        "weight_lptu": None if standing.weight is None else str(standing.weight),
        "has_voted": standing.has_voted,
    }
