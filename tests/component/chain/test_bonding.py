import pytest

from livefleet.chain import Call, Reverted
from livefleet.chain.pool import read_pool
from livefleet.kernel import Wei
from tests.builders.chain import VECTORS, a_devchain, a_ticket
from tests.devchain.accounts import dev_signer
from tests.devchain.chain import Devchain
from tests.devchain.deploy import LPT

pytestmark = pytest.mark.component

ORCHESTRATOR, OTHER, DELEGATOR, GATEWAY = (dev_signer(index) for index in (1, 2, 3, 4))
REVERTS = {case: text.removeprefix("execution reverted: ") for case, text in VECTORS["revertsByCase"].items()}


async def _reason(chain: Devchain, call: Call, sender=ORCHESTRATOR) -> str:
    with pytest.raises(Reverted) as refused:
        await chain.client.rpc.simulate(call, sender.address)
    return refused.value.reason


async def test_bonding__calls_out_of_place__revert_with_the_protocols_words(devchain):
    bonding = devchain.client.bonding
    answers = {
        "bond without approve": await _reason(devchain, bonding.bond_call(5, ORCHESTRATOR.address)),
        "zero bond": await _reason(devchain, bonding.bond_call(0, ORCHESTRATOR.address)),
        "transcoder unregistered": await _reason(devchain, bonding.transcoder_call(reward_cut=0, fee_share=0)),
    }
    await devchain.activate_orchestrator(ORCHESTRATOR, advance=False)
    reward = bonding.call(_function("reward()"))
    assert await _reason(devchain, reward) == "transcoder must be active"
    answers["bad rewardCut"] = await _reason(devchain, bonding.transcoder_call(reward_cut=1_000_001, fee_share=0))
    answers["bad feeShare"] = await _reason(devchain, bonding.transcoder_call(reward_cut=0, fee_share=1_000_001))
    answers["orchestrator delegates elsewhere"] = await _reason(devchain, bonding.bond_call(0, OTHER.address))
    answers["initializeRound twice"] = await _reason(devchain, devchain.client.rounds.initialize_round_call())
    await devchain.next_round()
    cuts = bonding.transcoder_call(reward_cut=1, fee_share=1)
    answers["transcoder() active but reward not called"] = await _reason(devchain, cuts)
    await devchain.sender.send(ORCHESTRATOR, reward)
    answers["reward twice"] = await _reason(devchain, reward)
    too_much = bonding.withdraw_fees_call(ORCHESTRATOR.address, Wei(1))
    answers["withdrawFees too much"] = await _reason(devchain, too_much)
    while not await devchain.client.rounds.current_round_locked():
        await devchain.mine()
    answers["transcoder() in lock period"] = await _reason(devchain, cuts)
    await devchain.next_round(initialize=False)
    answers["reward in uninitialised round"] = await _reason(devchain, reward)
    answers["bond in uninitialised round"] = await _reason(devchain, bonding.bond_call(1, ORCHESTRATOR.address))
    assert answers == {case: REVERTS[case] for case in answers}


async def test_earnings__reward_and_fees__are_split_and_nothing_is_lost(devchain):
    client, bonding = devchain.client, devchain.client.bonding
    await devchain.activate_orchestrator(ORCHESTRATOR, stake=600 * LPT, reward_cut=250_000, fee_share=400_000)
    await devchain.give_lpt(DELEGATOR.address, 400 * LPT)
    await devchain.give_eth(DELEGATOR.address, Wei(10**19))
    await devchain.sender.send(
        DELEGATOR,
        client.token.approve_call(bonding.address, 400 * LPT),
        bonding.bond_call(400 * LPT, ORCHESTRATOR.address),
    )
    await devchain.next_round()
    await devchain.fund_gateway(GATEWAY.address, deposit=Wei(10**18), reserve=Wei(10**18))
    ticket = await a_ticket(client, GATEWAY, ORCHESTRATOR.address, face_value=Wei(10**18))
    await devchain.sender.send(OTHER, ticket.redeem_call(client.broker))
    assert await bonding.pending_fees(DELEGATOR.address) == 10**18 * 4 // 10 * 4 // 10
    assert await bonding.pending_fees(ORCHESTRATOR.address) == 10**18 * 84 // 100

    await devchain.sender.send(ORCHESTRATOR, bonding.call(_function("reward()")))
    stake = await bonding.total_stake(ORCHESTRATOR.address)
    minted = stake - 1000 * LPT
    assert minted == await client.minter.current_mintable_tokens()
    own, delegated = await bonding.pending_stake(ORCHESTRATOR.address), await bonding.pending_stake(DELEGATOR.address)
    assert stake - 10 <= own + delegated <= stake
    assert abs(delegated - 400 * LPT - minted * 3 // 4 * 4 // 10) <= 10

    before = await client.rpc.balance(DELEGATOR.address)
    fees = await bonding.pending_fees(DELEGATOR.address)
    withdraw = bonding.withdraw_fees_call(DELEGATOR.address, fees)
    (receipt,) = await devchain.sender.send(DELEGATOR, withdraw)
    cost = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
    assert await client.rpc.balance(DELEGATOR.address) == before + fees - cost
    assert await bonding.pending_fees(DELEGATOR.address) == 0


async def test_pool__is_walked_in_the_order_of_stake_and_evicts_the_tail(tmp_path):
    async with a_devchain(tmp_path / "chain", pool_max_size=2) as chain:
        bonding = chain.client.bonding
        await chain.activate_orchestrator(ORCHESTRATOR, stake=20 * LPT, advance=False)
        await chain.activate_orchestrator(OTHER, stake=30 * LPT, advance=False)
        pool = await read_pool(bonding, await chain.client.rpc.block_number())
        assert [member.address for member in pool] == [OTHER.address, ORCHESTRATOR.address]
        await chain.activate_orchestrator(DELEGATOR, stake=20 * LPT, advance=False)
        assert await bonding.pool_size() == 2
        await chain.activate_orchestrator(GATEWAY, stake=40 * LPT)
        guess = [member.address for member in pool]
        pool = await read_pool(bonding, await chain.client.rpc.block_number(), guess)
        assert [(member.address, member.stake) for member in pool] == [
            (GATEWAY.address, 40 * LPT),
            (OTHER.address, 30 * LPT),
        ]
        assert not await bonding.is_active(ORCHESTRATOR.address)


def _function(text):
    from livefleet.chain.abi import Function

    return Function.parse(text)
