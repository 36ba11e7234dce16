"""The governor and the polls of the local chain: when votes count, whose, and what follows from them."""

from dataclasses import dataclass

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from livefleet.chain import Call, keccak256
from livefleet.chain.contracts import Choice, ProposalCreated, ProposalState, Support
from livefleet.chain.contracts.governor import VOTE_CAST
from livefleet.chain.governance import Governance
from livefleet.kernel import Round, Wei
from tests.builders.chain import a_devchain
from tests.builders.protocol import call_of, logs_of, refusal, stake
from tests.devchain.accounts import dev_secret, dev_signer
from tests.devchain.chain import TRANSFER, Devchain
from tests.devchain.deploy import LPT

pytestmark = pytest.mark.component

ORCHESTRATOR, OTHER, DELEGATOR, STRANGER = (dev_signer(index) for index in (1, 2, 3, 5))
PAYEE = dev_signer(7).address


@dataclass(frozen=True)
class Scene:
    chain: Devchain
    governance: Governance
    proposal: ProposalCreated

    async def vote(self, signer, support: Support) -> None:
        await self.chain.sender.send(signer, self.governance.governor.cast_vote_call(self.proposal.id, support))

    async def tally(self) -> tuple[int, int, int]:
        standing = await self.governance.standing(self.proposal, None)
        return standing.against // LPT, standing.in_favour // LPT, standing.abstain // LPT

    async def state(self) -> ProposalState:
        return await self.governance.governor.state(self.proposal.id)

    async def go_to(self, round_: int) -> None:
        while await self.governance.current_round() < round_:
            await self.chain.next_round()


async def _propose(chain: Devchain, *, ether: int = 0, description: str = "# Pay 5 LPT") -> Scene:
    """600 LPT of one orchestrator's own, 400 of its delegator's, and 1000 of another's; the first one proposes."""
    await chain.activate_orchestrator(ORCHESTRATOR, stake=600 * LPT)
    await chain.activate_orchestrator(OTHER, stake=1_000 * LPT)
    await stake(chain, DELEGATOR, 400 * LPT, ORCHESTRATOR.address)
    await chain.next_round()
    await chain.next_round()
    governance = await Governance.find(chain.client)
    targets, values, calls = [chain.client.token.address], [Wei(0)], [TRANSFER.encode(PAYEE, 5 * LPT)]
    if ether:
        targets, values, calls = [*targets, PAYEE], [*values, Wei(ether)], [*calls, b""]
    call = governance.governor.propose_call(targets, values, calls, description)
    await chain.sender.send(ORCHESTRATOR, call)
    (proposal,) = (await governance.begun(0, await chain.client.rpc.block_number())).proposals
    return Scene(chain, governance, proposal)


async def test_proposal__from_its_making_to_the_payment__takes_the_known_rounds(devchain):
    scene = await _propose(devchain, ether=10**17)
    governor, proposal = scene.governance.governor, scene.proposal
    made = await scene.governance.current_round()
    assert (proposal.snapshot, proposal.deadline) == (made + 1, made + 11)
    assert proposal.proposer == ORCHESTRATOR.address
    assert proposal.description == "# Pay 5 LPT"
    await scene.go_to(made + 1)
    assert await scene.state() is ProposalState.PENDING
    await scene.go_to(made + 2)
    assert await scene.state() is ProposalState.ACTIVE
    await scene.vote(ORCHESTRATOR, Support.FOR)
    assert await scene.tally() == (0, 1_000, 0)
    early = await refusal(devchain, governor.queue_call(proposal), STRANGER)
    assert early == "Governor: proposal not successful"
    await scene.go_to(made + 11)
    assert await scene.state() is ProposalState.ACTIVE
    await scene.go_to(made + 12)
    assert await scene.state() is ProposalState.SUCCEEDED
    treasury = scene.governance.treasury.address
    await devchain.bring_up_to(treasury, eth=Wei(10**18), lpt=50 * LPT)
    before = await devchain.client.rpc.balance(PAYEE)
    await devchain.sender.send(STRANGER, governor.queue_call(proposal))
    assert await scene.state() is ProposalState.QUEUED
    await devchain.sender.send(STRANGER, governor.execute_call(proposal))
    assert await scene.state() is ProposalState.EXECUTED
    assert await devchain.client.token.balance(PAYEE) == 5 * LPT
    assert await devchain.client.rpc.balance(PAYEE) - before == 10**17


@pytest.mark.parametrize("delegator_first", [True, False], ids=["delegator-first", "orchestrator-first"])
async def test_vote__of_a_delegator__takes_its_weight_out_of_its_orchestrators(devchain, delegator_first):
    scene = await _propose(devchain)
    await scene.go_to(scene.proposal.snapshot + 1)
    votes = [(DELEGATOR, Support.AGAINST), (ORCHESTRATOR, Support.FOR)]
    for signer, support in votes if delegator_first else reversed(votes):
        await scene.vote(signer, support)
    assert await scene.tally() == (400, 600, 0)
    assert (await scene.governance.standing(scene.proposal, DELEGATOR.address)).weight == 400 * LPT
    assert (await scene.governance.standing(scene.proposal, ORCHESTRATOR.address)).weight == 1_000 * LPT


async def test_proposal__a_tie_with_quorum__passes_and_without_quorum_fails(devchain):
    scene = await _propose(devchain)
    await scene.go_to(scene.proposal.snapshot + 1)
    await scene.vote(ORCHESTRATOR, Support.FOR)
    await scene.vote(OTHER, Support.AGAINST)
    assert await scene.tally() == (1_000, 1_000, 0)
    standing = await scene.governance.standing(scene.proposal, None)
    assert standing.quorum == 2_000 * LPT * 333_300 // 10**6
    assert standing.quota == 500_000
    again = scene.governance.governor.propose_call([PAYEE], [Wei(1)], [b""], "nobody votes on this")
    await devchain.sender.send(ORCHESTRATOR, again)
    _, ignored = (await scene.governance.begun(0, await devchain.client.rpc.block_number())).proposals
    await scene.go_to(ignored.deadline + 1)
    assert await scene.state() is ProposalState.SUCCEEDED
    assert await scene.governance.governor.state(ignored.id) is ProposalState.DEFEATED


async def test_votes__abstaining_counts_for_the_quorum_but_not_for_the_outcome(devchain):
    scene = await _propose(devchain)
    await scene.go_to(scene.proposal.snapshot + 1)
    await scene.vote(OTHER, Support.ABSTAIN)
    await scene.vote(DELEGATOR, Support.FOR)
    assert await scene.tally() == (0, 400, 1_000)
    await scene.go_to(scene.proposal.deadline + 1)
    assert await scene.state() is ProposalState.SUCCEEDED


async def test_weight__is_the_stake_of_the_snapshot_with_its_rewards(devchain):
    scene = await _propose(devchain)
    votes, bonding = scene.governance.votes, devchain.client.bonding
    reward = call_of(bonding.address, "reward()")
    await devchain.sender.send(ORCHESTRATOR, reward)
    now = await scene.governance.current_round()
    await devchain.next_round(initialize=False)  # the clock goes on all the same
    assert await votes.clock() == now + 1
    minted = await bonding.total_stake(ORCHESTRATOR.address) - 1_000 * LPT
    assert await votes.past_votes(ORCHESTRATOR.address, Round(now - 1)) == 1_000 * LPT
    assert await votes.past_votes(ORCHESTRATOR.address, now) == 1_000 * LPT + minted
    assert await votes.past_votes(DELEGATOR.address, now) == await bonding.pending_stake(DELEGATOR.address) > 400 * LPT
    assert await votes.past_total(now) == 2_000 * LPT + minted
    assert await votes.delegate(DELEGATOR.address) == ORCHESTRATOR.address
    assert await votes.has_checkpoint(OTHER.address)
    assert not await votes.has_checkpoint(STRANGER.address)


async def test_weight__of_one_whose_delegate_has_left__is_nothing(devchain):
    scene = await _propose(devchain)
    unbond = call_of(devchain.client.bonding.address, "unbond(uint256)", 600 * LPT)
    await devchain.sender.send(ORCHESTRATOR, unbond)
    now = await scene.governance.current_round()
    await devchain.next_round()
    assert await scene.governance.votes.past_votes(DELEGATOR.address, now) == 0
    assert await scene.governance.votes.past_votes(ORCHESTRATOR.address, now) == 0


async def test_vote__signed_elsewhere_and_sent_by_anybody__counts_for_the_signer(devchain):
    scene = await _propose(devchain)
    await scene.go_to(scene.proposal.snapshot + 1)
    governor = scene.governance.governor.address
    ballot = encode_typed_data(
        {"name": "LivepeerGovernor", "version": "1", "chainId": devchain.info.chain_id, "verifyingContract": governor},
        {"Ballot": [{"name": "proposalId", "type": "uint256"}, {"name": "support", "type": "uint8"}]},
        {"proposalId": scene.proposal.id, "support": 0},
    )
    signed = Account.from_key(dev_secret(2)).sign_message(ballot)
    parts = (signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big"))
    signature = "castVoteBySig(uint256,uint8,uint8,bytes32,bytes32)"
    await devchain.sender.send(STRANGER, call_of(governor, signature, scene.proposal.id, 0, *parts))
    assert await scene.tally() == (1_000, 0, 0)
    assert (await scene.governance.standing(scene.proposal, OTHER.address)).has_voted


async def test_proposal__its_id_and_events__are_the_known_ones(devchain):
    scene = await _propose(devchain)
    proposal, governor = scene.proposal, scene.governance.governor
    content = (list(proposal.targets), [0], list(proposal.calldatas), keccak256(proposal.description.encode()))
    hashed = call_of(governor.address, "hashProposal(address[],uint256[],bytes[],bytes32)", *content)
    assert int.from_bytes(await devchain.client.rpc.simulate(hashed, PAYEE), "big") == proposal.id
    await scene.go_to(proposal.snapshot + 1)
    await devchain.sender.send(OTHER, governor.cast_vote_call(proposal.id, Support.ABSTAIN, "no opinion"))
    told = [VOTE_CAST.decode(*log) for log in await logs_of(devchain, governor.address) if VOTE_CAST.matches(log[0])]
    assert told == [(OTHER.address, proposal.id, 2, 1_000 * LPT, "no opinion")]


async def test_proposal__reserved_for_another_proposer__is_refused(devchain):
    scene = await _propose(devchain)
    text = f"mine alone #proposer={OTHER.address}"
    call = scene.governance.governor.propose_call([PAYEE], [Wei(1)], [b""], text)
    assert await refusal(devchain, call, ORCHESTRATOR) == "Governor: proposer restricted"


async def test_poll__from_its_making_to_its_end__counts_the_last_choice(tmp_path):
    async with a_devchain(tmp_path / "chain", round_length=20) as chain:
        await chain.activate_orchestrator(ORCHESTRATOR)
        governance = await Governance.find(chain.client)
        create = governance.polls.create_call(b"QmPoll")
        refused = await refusal(chain, create, STRANGER)
        assert refused == "PollCreator#createPoll: INSUFFICIENT_STAKE"
        await chain.sender.send(ORCHESTRATOR, create)
        (created,) = (await governance.begun(0, await chain.client.rpc.block_number())).polls
        assert (created.subject, created.quorum, created.quota) == ("QmPoll", 333_300, 500_000)
        poll = governance.poll(created.address)
        assert await poll.end_block() == created.end_block
        await chain.sender.send(ORCHESTRATOR, poll.vote_call(Choice.NO), poll.vote_call(Choice.YES))
        await chain.sender.send(STRANGER, poll.vote_call(Choice.NO))
        last = await chain.client.rpc.block_number()
        assert await governance.choices([created.address], 0, last) == {
            created.address: {ORCHESTRATOR.address: Choice.YES, STRANGER.address: Choice.NO}
        }
        assert await governance.choices([created.address], 0, last, STRANGER.address) == {
            created.address: {STRANGER.address: Choice.NO}
        }
        await chain.mine(created.end_block + 1 - await chain.client.rounds.block_num())
        assert await refusal(chain, poll.vote_call(Choice.YES), STRANGER) == "poll is over"


async def test_permit__signed_by_the_owner__lets_the_spender_take_that_much(devchain):
    token = devchain.client.token
    await devchain.bring_up_to(OTHER.address, lpt=10 * LPT)
    kinds = [("owner", "address"), ("spender", "address"), ("value", "uint256"), ("nonce", "uint256")]
    permit = encode_typed_data(
        {
            "name": "Livepeer Token",
            "version": "1",
            "chainId": devchain.info.chain_id,
            "verifyingContract": token.address,
        },
        {"Permit": [{"name": name, "type": kind} for name, kind in [*kinds, ("deadline", "uint256")]]},
        {"owner": OTHER.address, "spender": PAYEE, "value": 7, "nonce": 0, "deadline": 2**64},
    )
    signed = Account.from_key(dev_secret(2)).sign_message(permit)
    data = (OTHER.address, PAYEE, 7, 2**64, signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big"))
    signature = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
    await devchain.sender.send(STRANGER, Call(token.address, call_of(token.address, signature, *data).data))
    assert await token.allowance(OTHER.address, PAYEE) == 7
