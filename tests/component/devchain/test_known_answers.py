"""Every answer that is known of the protocol's own contracts, asked again of the local chain's under the same rules."""

from dataclasses import replace
from typing import Any

import pytest

from livefleet.chain import Call
from livefleet.chain.contracts.bonding_votes import GET_PAST_VOTES
from livefleet.chain.contracts.governor import PROPOSE
from livefleet.chain.contracts.ticket_broker import UNLOCK
from livefleet.chain.governance import Governance
from livefleet.kernel import ZERO_ADDRESS, Round, Wei, WinProb, to_u256
from tests.builders.chain import VECTORS, a_devchain, a_ticket
from tests.builders.protocol import KNOWN_REVERTS, call_of, refusal
from tests.devchain.accounts import DEPLOYER, dev_signer
from tests.devchain.chain import TRANSFER, Devchain, ProtocolVersion
from tests.devchain.deploy import LPT
from tests.devchain.toolchain import compile_contracts, default_cache, install

pytestmark = pytest.mark.component

ORCHESTRATOR, OTHER, DELEGATOR, GATEWAY, REDEEMER = (dev_signer(index) for index in (1, 2, 3, 4, 7))
ETH = 10**18
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KNOWN_ROUND = 28  # in which `getPastVotes now` was asked


async def test_reverts__every_known_case__answers_with_the_known_words(tmp_path):
    async with a_devchain(tmp_path, round_length=40, protocol=ProtocolVersion.EARLY_2024) as chain:
        answers = {
            **await _bonding(chain),
            **await _tickets(chain),
            **await _unbonding(chain),
            **await _votes(chain),
            **await _senders_and_pause(chain),
        }
    assert answers == KNOWN_REVERTS


async def _bonding(chain: Devchain) -> dict[str, str]:
    bonding, rounds = chain.client.bonding, chain.client.rounds
    cuts = bonding.transcoder_call(reward_cut=1, fee_share=1)
    reward = call_of(bonding.address, "reward()")
    before = {
        "bond without approve": await refusal(chain, bonding.bond_call(5, ORCHESTRATOR.address), ORCHESTRATOR),
        "zero bond": await refusal(chain, bonding.bond_call(0, ORCHESTRATOR.address), ORCHESTRATOR),
        "transcoder unregistered": await refusal(chain, cuts, ORCHESTRATOR),
        "initializeRound twice": await refusal(chain, rounds.initialize_round_call(), OTHER),
    }
    await chain.activate_orchestrator(ORCHESTRATOR, advance=False)
    elsewhere = bonding.bond_call(0, OTHER.address)
    registered = {
        "reward before active": await refusal(chain, reward, ORCHESTRATOR),
        "bad rewardCut": await refusal(chain, bonding.transcoder_call(reward_cut=10**6 + 1, fee_share=0), ORCHESTRATOR),
        "bad feeShare": await refusal(chain, bonding.transcoder_call(reward_cut=0, fee_share=10**6 + 1), ORCHESTRATOR),
        "orchestrator delegates elsewhere": await refusal(chain, elsewhere, ORCHESTRATOR),
    }
    await chain.next_round()
    unrewarded = await refusal(chain, cuts, ORCHESTRATOR)
    await chain.sender.send(ORCHESTRATOR, reward)
    twice = await refusal(chain, reward, ORCHESTRATOR)
    while not await rounds.current_round_locked():
        await chain.mine()
    locked = await refusal(chain, cuts, ORCHESTRATOR)
    await chain.next_round(initialize=False)
    return {
        **before,
        **registered,
        "transcoder() active but reward not called": unrewarded,
        "reward twice": twice,
        "transcoder() in lock period": locked,
        "reward in uninitialised round": await refusal(chain, reward, ORCHESTRATOR),
        "bond in uninitialised round": await refusal(chain, bonding.bond_call(1, ORCHESTRATOR.address), OTHER),
    }


async def _tickets(chain: Devchain) -> dict[str, str]:
    client, broker = chain.client, chain.client.broker
    await chain.initialize_round()
    await chain.fund_gateway(GATEWAY.address, deposit=Wei(ETH), reserve=Wei(ETH))
    good = await a_ticket(client, GATEWAY, ORCHESTRATOR.address)
    used = replace(good, sender_nonce=9).signed(GATEWAY)
    await chain.sender.send(REDEEMER, used.redeem_call(broker))
    round_, round_hash = good.aux_data[:32], good.aux_data[32:]
    r, s, v = good.signature[:32], good.signature[32:64], good.signature[64]
    high_s = to_u256(ORDER - int.from_bytes(s, "big"))
    future = to_u256(int.from_bytes(round_, "big") + 5) + round_hash
    bad = {
        "redeem used": used,
        "redeem loser": replace(good, win_prob=WinProb(0)).signed(GATEWAY),
        "bad recipientRand": replace(good, recipient_rand=8),
        "bad sig": good.signed(OTHER),
        "short sig": replace(good, signature=good.signature[:64]),
        "sig v 0/1": replace(good, signature=r + s + bytes([v - 27])),
        "sig high s": replace(good, signature=r + high_s + bytes([v])),
        "recipient null": replace(good, recipient=ZERO_ADDRESS).signed(GATEWAY),
        "recipient not registered": replace(good, recipient=OTHER.address).signed(GATEWAY),
        "aux empty": replace(good, aux_data=b"").signed(GATEWAY),
        "aux future round": replace(good, aux_data=future).signed(GATEWAY),
        "aux wrong hash": replace(good, aux_data=round_ + b"\1" * 32).signed(GATEWAY),
        "sender without funds": replace(good, sender=OTHER.address).signed(OTHER),
    }
    answers = {case: await refusal(chain, ticket.redeem_call(broker), REDEEMER) for case, ticket in bad.items()}
    unlike = call_of(broker.address, "fundDepositAndReserve(uint256,uint256)", 2, 2, value=3)
    batch = "batchRedeemWinningTickets((address,address,uint256,uint256,uint256,bytes32,bytes)[],bytes[],uint256[])"
    ticket = (
        *(good.recipient, good.sender, good.face_value, good.win_prob),
        *(good.sender_nonce, good.recipient_rand_hash, good.aux_data),
    )
    shorter = call_of(broker.address, batch, [ticket], [], [good.recipient_rand])
    too_much = client.bonding.withdraw_fees_call(ORCHESTRATOR.address, Wei(ETH))
    answers |= {
        "fund value mismatch": await refusal(chain, unlike, GATEWAY),
        "batch length mismatch": await refusal(chain, shorter, REDEEMER),
        "withdrawFees too much": await refusal(chain, too_much, ORCHESTRATOR),
    }
    await chain.next_round(initialize=False)
    answers["redeem in uninitialised round"] = await refusal(chain, good.redeem_call(broker), REDEEMER)
    await chain.next_round()
    answers["redeem expired (creationRound+2)"] = await refusal(chain, good.redeem_call(broker), REDEEMER)
    return answers


async def _unbonding(chain: Devchain) -> dict[str, str]:
    bonding = chain.client.bonding.address
    unbond, rebond = "unbond(uint256)", call_of(bonding, "rebond(uint256)", 0)
    answers = {
        "unbond 0": await refusal(chain, call_of(bonding, unbond, 0), ORCHESTRATOR),
        "unbond too much": await refusal(chain, call_of(bonding, unbond, 10**6 * LPT), ORCHESTRATOR),
        "unbond unbonded": await refusal(chain, call_of(bonding, unbond, 1), OTHER),
        "rebond while unbonded": await refusal(chain, rebond, OTHER),
    }
    await chain.sender.send(ORCHESTRATOR, call_of(bonding, unbond, 5), rebond, call_of(bonding, unbond, 5))
    early = call_of(bonding, "withdrawStake(uint256)", 1)
    answers["rebond used lock"] = await refusal(chain, rebond, ORCHESTRATOR)
    answers["withdrawStake early"] = await refusal(chain, early, ORCHESTRATOR)
    return answers


async def _votes(chain: Devchain) -> dict[str, str]:
    governance = await Governance.find(chain.client)
    governor = governance.governor
    content = ([chain.client.token.address], [0], [TRANSFER.encode(OTHER.address, 1)], "pay a unit")
    propose = Call(to=governor.address, data=PROPOSE.encode(*content))
    answers = {
        "propose below threshold": await refusal(chain, propose, OTHER),
        "governor custom: castVote unknown": await refusal(chain, _vote(governor.address, 1, 1), ORCHESTRATOR),
    }
    await chain.sender.send(ORCHESTRATOR, propose)
    (proposal,) = (await governance.begun(0, await chain.client.rpc.block_number())).proposals
    answers["vote while pending"] = await refusal(chain, _vote(governor.address, proposal.id, 1), ORCHESTRATOR)
    while await governance.current_round() <= proposal.snapshot:
        await chain.next_round()
    answers["bad support"] = await refusal(chain, _vote(governor.address, proposal.id, 3), ORCHESTRATOR)
    await chain.sender.send(ORCHESTRATOR, _vote(governor.address, proposal.id, 1))
    answers["vote twice"] = await refusal(chain, _vote(governor.address, proposal.id, 1), ORCHESTRATOR)
    while await governance.current_round() < KNOWN_ROUND:
        await chain.next_round(initialize=False)
    now = governance.votes.call(GET_PAST_VOTES, ORCHESTRATOR.address, KNOWN_ROUND)
    answers["getPastVotes now"] = await refusal(chain, now, ORCHESTRATOR)
    return answers


def _vote(governor: str, proposal: int, support: int) -> Call:
    return call_of(governor, "castVote(uint256,uint8)", proposal, support)


async def _senders_and_pause(chain: Devchain) -> dict[str, str]:
    client, broker = chain.client, chain.client.broker
    await chain.initialize_round()
    unlock = broker.call(UNLOCK)
    await chain.sender.send(GATEWAY, unlock)
    answers = {
        "unlock twice": await refusal(chain, unlock, GATEWAY),
        "withdraw locked": await refusal(chain, broker.withdraw_call(), GATEWAY),
    }
    last = (await broker.sender_info(GATEWAY.address, ORCHESTRATOR.address)).withdraw_round
    while await client.rounds.current_round() < last:
        await chain.next_round()
    ticket = await a_ticket(client, GATEWAY, ORCHESTRATOR.address)
    answers["redeem after withdrawRound"] = await refusal(chain, ticket.redeem_call(broker), REDEEMER)
    answers["(sender unlocked first) redeem"] = answers["redeem after withdrawRound"]
    await chain.sender.send(dev_signer(DEPLOYER), call_of(client.controller.address, "pause()"))
    return answers | {
        "paused: reward": await refusal(chain, call_of(client.bonding.address, "reward()"), ORCHESTRATOR),
        "paused: redeem": await refusal(chain, ticket.redeem_call(broker), REDEEMER),
        "paused: initializeRound": await refusal(chain, client.rounds.initialize_round_call(), REDEEMER),
    }


async def test_reward__the_known_split__is_minted_and_shared_to_the_unit(devchain):
    known = {name: int(text) for name, text in VECTORS["rewardMath"].items()}
    bonding, minter = devchain.client.bonding, devchain.client.minter
    rate = call_of(bonding.address, "setTreasuryRewardCutRate(uint256)", known["treasuryRewardCutRate"])
    await devchain.sender.send(dev_signer(DEPLOYER), rate)
    rest = known["totalActiveStake"] - known["activeStake"]
    await devchain.activate_orchestrator(OTHER, stake=rest, advance=False)
    await devchain.activate_orchestrator(ORCHESTRATOR, stake=known["activeStake"])
    await _set(devchain, minter.address, "Minter", "currentMintableTokens", known["currentMintableTokens"])
    (receipt,) = await devchain.sender.send(ORCHESTRATOR, call_of(bonding.address, "reward()"))
    told = _told(receipt, {"Reward(address,uint256)", "TreasuryReward(address,address,uint256)"})
    assert told == {
        "Reward(address,uint256)": known["Reward.amount"],
        "TreasuryReward(address,address,uint256)": known["TreasuryReward.amount"],
    }
    treasury = (await Governance.find(devchain.client)).treasury
    assert await devchain.client.token.balance(treasury.address) == known["TreasuryReward.amount"]
    grown = await bonding.total_stake(ORCHESTRATOR.address)
    assert grown == known["activeStake"] + known["Reward.amount"]


def _told(receipt: dict[str, Any], events: set[str]) -> dict[str, int]:
    topics = {VECTORS["eventTopics"][f"BondingManager.{event}"]: event for event in events}
    return {
        topics[log["topics"][0]]: int(log["data"][-64:], 16) for log in receipt["logs"] if log["topics"][0] in topics
    }


async def _set(chain: Devchain, address: str, contract: str, variable: str, value: int) -> None:
    cache = default_cache()
    slot = compile_contracts(install(cache), cache)[contract].slots[variable]
    place, content = "0x" + to_u256(slot).hex(), "0x" + to_u256(value).hex()
    await chain.client.rpc.request("anvil_setStorageAt", address, place, content)


async def test_past_votes__round_that_is_over__are_answered(devchain):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    round_ = await devchain.next_round()
    votes = (await Governance.find(devchain.client)).votes
    assert await votes.past_votes(ORCHESTRATOR.address, Round(round_ - 1)) == 1_000 * LPT
