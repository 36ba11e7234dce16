"""Proposals for the treasury on the local chain, by an account that has the stake to make them."""

from dataclasses import dataclass

from livefleet.chain import Signer
from livefleet.chain.contracts import Governor, ProposalCreated
from livefleet.chain.contracts.governor import PROPOSAL_CREATED
from livefleet.chain.governance import Governance
from livefleet.kernel import Address, OutsideWorld, Round, Wei
from tests.devchain.accounts import dev_signer
from tests.devchain.chain import TRANSFER, Devchain

__all__ = ["PROPOSER", "Made", "propose_payment"]

PROPOSER = 8
"""The test account that proposes: it stakes what the governor asks of a proposer, and no more."""

_ROUNDS_UNTIL_IT_COUNTS = 3


@dataclass(frozen=True, slots=True)
class Made:
    """A proposal, and whether it stood before."""

    proposal: ProposalCreated
    was_there: bool


async def propose_payment(chain: Devchain, *, to: Address, lpt: int, description: str) -> Made:
    """Propose that the treasury pays LPTU to an account. The same proposal again is only looked up.

    The first one of a chain takes it on by two rounds: the proposer's stake has to count before. The treasury is given
    what it would have to pay, so that the proposal can be executed.
    """
    governance = await Governance.find(chain.client)
    governor, proposer = governance.governor, dev_signer(PROPOSER)
    await _qualify(chain, governance, proposer)
    await chain.bring_up_to(governance.treasury.address, lpt=lpt)
    call = governor.propose_call([chain.client.token.address], [Wei(0)], [TRANSFER.encode(to, lpt)], description)
    begun = await governance.begun(0, await chain.client.rpc.block_number())
    for proposal in begun.proposals:
        if proposal.description == description and proposal.calldatas == (TRANSFER.encode(to, lpt),):
            return Made(proposal, was_there=True)
    (receipt,) = await chain.sender.send(proposer, call)
    return Made(_created(governor, receipt["logs"]), was_there=False)


async def _qualify(chain: Devchain, governance: Governance, proposer: Signer) -> None:
    """Give the proposer stake, and wait until it counts: the governor looks at the round before."""
    needed = await governance.governor.proposal_threshold()
    if await governance.votes.votes(proposer.address) < needed:
        await chain.activate_orchestrator(proposer, stake=needed)
    for _ in range(_ROUNDS_UNTIL_IT_COUNTS):
        before = Round(await governance.current_round() - 1)
        if await governance.votes.past_votes(proposer.address, before) >= needed:
            return
        await chain.next_round()


def _created(governor: Governor, logs: list[dict[str, str]]) -> ProposalCreated:
    for log in logs:
        topics = tuple(bytes.fromhex(topic[2:]) for topic in log["topics"])
        if log["address"].lower() == governor.address.lower() and PROPOSAL_CREATED.matches(topics):
            return ProposalCreated.from_log(topics, bytes.fromhex(log["data"][2:]))
    raise OutsideWorld("the governor took the proposal and told nothing of it")
