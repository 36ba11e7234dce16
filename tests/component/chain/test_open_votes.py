"""Votes that an orchestrator is waited for, seen on the local chain."""

import pytest

from livefleet.chain import OpenVote, OpenVotes, VoteKind
from livefleet.chain.contracts import Choice, Support
from livefleet.chain.governance import Governance
from livefleet.kernel import ZERO_ADDRESS, Status, Transient
from livefleet.reconcile.resources import GovernanceResource
from tests.builders.protocol import name_contract
from tests.devchain.accounts import dev_signer
from tests.devchain.chain import Devchain
from tests.devchain.deploy import LPT
from tests.devchain.treasury import PROPOSER, propose_payment

pytestmark = pytest.mark.component

ORCHESTRATOR, STRANGER = dev_signer(1), dev_signer(5)
PAYEE = dev_signer(7).address


async def _proposed(chain: Devchain, description: str = "# Pay 3 LPT") -> int:
    made = await propose_payment(chain, to=PAYEE, lpt=3 * LPT, description=description)
    return made.proposal.id


def _requests(chain: Devchain) -> int:
    return sum(endpoint.requests for endpoint in chain.client.rpc.endpoints)


async def test_look__proposal_from_its_making_to_its_end__is_coming_then_awaited_then_gone(devchain):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    votes = OpenVotes(devchain.client, ORCHESTRATOR.address)
    assert await votes.look() == ()
    id_ = await _proposed(devchain)
    coming = OpenVote(
        kind=VoteKind.PROPOSAL, id=str(id_), title="Pay 3 LPT", weight=0, begins_in=2, rounds_left=10, has_voted=False
    )
    assert await votes.look() == (coming,)
    await devchain.next_round()
    await devchain.next_round()
    (awaited,) = await votes.look()
    assert awaited.is_awaited
    assert (awaited.weight, awaited.begins_in, awaited.rounds_left) == (1_000 * LPT, 0, 10)
    governance = await Governance.find(devchain.client)
    await devchain.sender.send(ORCHESTRATOR, governance.governor.cast_vote_call(id_, Support.FOR))
    (cast,) = await votes.look()
    assert cast.has_voted
    assert not cast.is_awaited
    for _ in range(9):
        await devchain.next_round()
    assert len(await votes.look()) == 1
    await devchain.next_round()
    assert await votes.look() == ()


async def test_look__account_without_stake__is_never_waited_for(devchain):
    await _proposed(devchain)
    await devchain.next_round()
    await devchain.next_round()
    (vote,) = await OpenVotes(devchain.client, STRANGER.address).look()
    assert (vote.weight, vote.is_awaited) == (0, False)


async def test_look__poll__is_awaited_until_voted_in_and_gone_when_over(devchain):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    governance, votes = await Governance.find(devchain.client), OpenVotes(devchain.client, ORCHESTRATOR.address)
    await devchain.sender.send(ORCHESTRATOR, governance.polls.create_call(b"QmWhat"))
    (awaited,) = await votes.look()
    assert (awaited.kind, awaited.title, awaited.is_awaited) == (VoteKind.POLL, "QmWhat", True)
    (created,) = (await governance.begun(0, await devchain.client.rpc.block_number())).polls
    await devchain.sender.send(ORCHESTRATOR, governance.poll(created.address).vote_call(Choice.YES))
    (voted,) = await votes.look()
    assert voted.has_voted
    assert (await OpenVotes(devchain.client, ORCHESTRATOR.address).look()) == (voted,)  # as after a restart
    await devchain.mine(created.end_block + 1 - await devchain.client.rounds.block_num())
    assert await votes.look() == ()


async def test_look__proposal_undone_by_a_reorganisation__is_forgotten(devchain):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await _proposed(devchain)
    votes = OpenVotes(devchain.client, ORCHESTRATOR.address)
    assert len(await votes.look()) == 1
    await devchain.reorganise(1)
    await devchain.next_round()
    await devchain.next_round()
    with pytest.raises(Transient, match="a proposal is gone"):
        await votes.look()
    assert await votes.look() == ()


async def test_look__while_nothing_changes__costs_a_handful_of_requests(devchain, capsys):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    votes = OpenVotes(devchain.client, ORCHESTRATOR.address)
    await votes.look()
    before = _requests(devchain)
    await votes.look()
    idle = _requests(devchain) - before
    await _proposed(devchain)
    await devchain.next_round()
    await devchain.next_round()
    await votes.look()
    before = _requests(devchain)
    await votes.look()
    awaited = _requests(devchain) - before
    with capsys.disabled():
        print(f"\nJSON-RPC requests a look: {idle} with no vote open, {awaited} with one that is awaited")
    assert idle <= 4
    assert awaited <= 6


async def test_resource__open_vote__is_a_condition_that_names_it(devchain):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    resource = GovernanceResource(devchain.client, ORCHESTRATOR.address)
    (condition,) = resource.plan(await resource.observe()).conditions
    assert condition.status is Status.TRUE
    id_ = await _proposed(devchain)
    await devchain.next_round()
    await devchain.next_round()
    (condition,) = resource.plan(await resource.observe()).conditions
    assert (condition.status, condition.reason) == (Status.FALSE, "NotVoted")
    assert str(id_) in condition.message


async def test_propose_payment__again__is_only_looked_up(devchain):
    first = await propose_payment(devchain, to=PAYEE, lpt=LPT, description="once")
    again = await propose_payment(devchain, to=PAYEE, lpt=LPT, description="once")
    assert (first.was_there, again.was_there) == (False, True)
    assert again.proposal == first.proposal
    assert first.proposal.proposer == dev_signer(PROPOSER).address


async def test_resource__chain_without_a_governor__is_said_and_not_asked_about_in_haste(devchain):
    await name_contract(devchain, "LivepeerGovernor", ZERO_ADDRESS)
    resource = GovernanceResource(devchain.client, ORCHESTRATOR.address, every_s=3600.0)
    plan = resource.plan(await resource.observe())
    assert (plan.conditions[0].status, plan.conditions[0].reason) == (Status.TRUE, "NoGovernance")
    assert plan.again.after_s == 3600.0


async def test_look__chain_without_polls__still_sees_proposals(devchain):
    await name_contract(devchain, "PollCreator", ZERO_ADDRESS)
    id_ = await _proposed(devchain)
    (vote,) = await OpenVotes(devchain.client, ORCHESTRATOR.address).look()
    assert vote.id == str(id_)
