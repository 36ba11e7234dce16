"""Declared state on a real chain: brought about once, read back, and left alone after that."""

import asyncio
import sys

import pytest

from livefleet.chain import BondingManager, PriceFeed, Rpc, Transactions, WrongChain
from livefleet.chain.gas_balance import GasBalances
from livefleet.chain.on_chain import has_reward_callers
from livefleet.kernel import LivefleetError, SystemClock, Transient, Wei
from livefleet.reconcile.resources import PriceFeedResource
from tests.builders.chain import a_devchain, a_ticket
from tests.builders.on_chain import LPT
from tests.builders.on_chain_keeping import keeping
from tests.component.chain.activation_spec import DECLARED, ORCHESTRATOR, TRANSACTIONS
from tests.devchain.accounts import dev_signer
from tests.devchain.deploy import ProtocolVersion

pytestmark = pytest.mark.component

SECOND, COLD, GATEWAY = (dev_signer(index) for index in (2, 3, 4))
ETH = 10**18


async def nonce(chain, signer=ORCHESTRATOR):
    return int(await chain.client.rpc.request("eth_getTransactionCount", signer.address, "latest"), 16)


async def a_rich_account(chain, signer=ORCHESTRATOR, lpt=1_000 * LPT):
    await chain.initialize_round()
    await chain.give_eth(signer.address, Wei(10 * ETH))
    await chain.give_lpt(signer.address, lpt)


async def assert_activated(chain):
    client, own = chain.client, ORCHESTRATOR.address
    entry = await client.bonding.transcoder(own)
    assert await client.bonding.pending_stake(own) == 1_000 * LPT
    assert (entry.reward_cut, entry.fee_share) == (100_000, 950_000)
    assert await client.services.service_uri(own) == "https://o.example:8935"
    assert await client.ai_services.service_uri(own) == "https://ai.example:8936"
    assert await client.token.allowance(own, client.bonding.address) == 0


async def test_activation__from_nothing__takes_one_transaction_a_step_and_is_active_next_round(devchain, tmp_path):
    await a_rich_account(devchain)
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, **DECLARED) as kept:
        told = await kept.settle()
        assert told["OrchestratorActivated"].reason == "ActiveNextRound"
        await assert_activated(devchain)
        assert await nonce(devchain) == TRANSACTIONS

        await devchain.next_round()
        told = await kept.settle()

    assert told["OrchestratorActivated"].reason == "Active"
    assert await devchain.client.bonding.is_active(ORCHESTRATOR.address)
    assert await nonce(devchain) == TRANSACTIONS, "a second look sends nothing"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, TRANSACTIONS + 1))
async def test_activation__killed_at_a_step__goes_on_there_and_does_nothing_twice(devchain, tmp_path, number, moment):
    await a_rich_account(devchain)
    info = devchain.info
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.component.chain.killed_activation", info.rpc, str(info.chain_id), info.controller),
        *(str(tmp_path), str(number), moment),
    )
    assert await asyncio.wait_for(child.wait(), 60) == -9

    async with keeping(info.network, ORCHESTRATOR, tmp_path, **DECLARED) as kept:
        await kept.settle()

    await assert_activated(devchain)
    assert await nonce(devchain) == TRANSACTIONS


async def test_activation__locked_round__waits_it_out_and_sends_nothing_before(devchain, tmp_path):
    await a_rich_account(devchain)
    client = devchain.client
    left = await client.rounds.current_round_start_block() + 46 - await client.rounds.block_num()
    await devchain.mine(left)
    assert await client.rounds.current_round_locked()
    declared = DECLARED | {"service_uri": "https://o.example:8935"}
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, **declared) as kept:
        told = await kept.turn()
        assert told["OrchestratorActivated"].reason == "Locked"
        assert await client.token.allowance(ORCHESTRATOR.address, client.bonding.address) == 0
        assert await client.bonding.pending_stake(ORCHESTRATOR.address) == 0

        await devchain.next_round()
        await kept.settle()

    await assert_activated(devchain)


async def test_activation__full_pool__says_the_lptu_missing_and_sends_nothing_but_uris(tmp_path):
    async with a_devchain(tmp_path / "chain", pool_max_size=1) as chain:
        await chain.activate_orchestrator(SECOND, stake=1_000 * LPT)
        await a_rich_account(chain)
        async with keeping(chain.info.network, ORCHESTRATOR, tmp_path, **DECLARED) as kept:
            told = await kept.turn()
            assert told["OrchestratorActivated"].reason == "PoolFull"
            assert "pool full: 1 LPTU missing" in told["OrchestratorActivated"].message
            assert await chain.client.bonding.pending_stake(ORCHESTRATOR.address) == 0

        await chain.give_lpt(ORCHESTRATOR.address, 1)
        declared = DECLARED | {"min_self_stake": f"{1_000 * LPT + 1} LPTU"}
        async with keeping(chain.info.network, ORCHESTRATOR, tmp_path, **declared) as kept:
            await kept.settle()
        entry = await chain.client.bonding.transcoder(SECOND.address)
        assert entry.deactivation_round == await chain.client.rounds.current_round() + 1


async def test_activation__account_without_eth__says_so_and_sends_nothing(devchain, tmp_path):
    await a_rich_account(devchain)
    await devchain.give_eth(ORCHESTRATOR.address, Wei(1_000))
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, **DECLARED) as kept:
        with pytest.raises(Transient, match=r"holds 1000 wei|1000"):
            await kept.settle()
    assert "holds 0.000000000000001 ETH" in {c.name: c for c in kept.board.all()}["OrchestratorActivated"].message
    assert await nonce(devchain) == 0


async def test_cuts__over_rounds__go_in_steps_only_after_reward_and_before_the_lock(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR, reward_cut=100_000, fee_share=500_000)
    bonding = devchain.client.bonding
    reward = bonding.reward_call(SECOND.address, SECOND.address)
    seen = []
    declared = {"reward_cut": "20%", "fee_cut": "46%", "max_change": "4%"}
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, **declared) as kept:
        for _ in range(4):
            before = await nonce(devchain)
            assert (await kept.turn())["CutsInStep"].reason in {"RewardFirst", "InStep"}
            assert await nonce(devchain) == before
            await devchain.sender.send(ORCHESTRATOR, reward)
            for _ in range(3):
                told = await kept.turn()
            entry = await bonding.transcoder(ORCHESTRATOR.address)
            seen.append((entry.reward_cut, entry.fee_share, told["CutsInStep"].reason))
            await devchain.next_round()

    assert seen == [
        (140_000, 540_000, "NextRound"),
        (180_000, 540_000, "NextRound"),
        (200_000, 540_000, "InStep"),
        (200_000, 540_000, "InStep"),
    ]


async def test_cuts__restarted_within_the_round__do_not_take_another_step(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR, reward_cut=100_000, fee_share=500_000)
    await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.reward_call(SECOND.address, SECOND.address))
    for life in range(3):
        folder = tmp_path / str(life)  # not even the intents are remembered
        async with keeping(devchain.info.network, ORCHESTRATOR, folder, reward_cut="90%", max_change="1%") as kept:
            await kept.turn()
            await kept.turn()

    assert (await devchain.client.bonding.transcoder(ORCHESTRATOR.address)).reward_cut == 110_000


async def test_self_stake__short__is_bonded_exactly_and_nothing_stays_approved(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.give_lpt(ORCHESTRATOR.address, 70 * LPT)
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, min_self_stake="1050 LPT") as kept:
        await kept.settle()
        await kept.settle()

    client = devchain.client
    assert await client.bonding.pending_stake(ORCHESTRATOR.address) == 1_050 * LPT
    assert await client.token.balance(ORCHESTRATOR.address) == 20 * LPT
    assert await client.token.allowance(ORCHESTRATOR.address, client.bonding.address) == 0


async def test_self_stake__two_agents_with_one_key_and_nothing_in_common__bond_it_once(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.give_lpt(ORCHESTRATOR.address, 500 * LPT)
    network = devchain.info.network
    async with (
        keeping(network, ORCHESTRATOR, tmp_path / "a", min_self_stake="1050 LPT") as one,
        keeping(network, ORCHESTRATOR, tmp_path / "b", min_self_stake="1050 LPT") as other,
    ):
        for _ in range(10):
            told = await asyncio.gather(one.turn(), other.turn(), return_exceptions=True)
            assert all(isinstance(answer, dict | LivefleetError) for answer in told), told
        await one.settle()
        await other.settle()

    assert await devchain.client.bonding.pending_stake(ORCHESTRATOR.address) == 1_050 * LPT
    assert await devchain.client.token.balance(ORCHESTRATOR.address) == 450 * LPT


async def test_self_stake__bonded_to_another_orchestrator__stays_there(devchain, tmp_path):
    await devchain.activate_orchestrator(SECOND)
    await a_rich_account(devchain)
    client = devchain.client
    calls = [client.token.approve_call(client.bonding.address, LPT), client.bonding.bond_call(LPT, SECOND.address)]
    await devchain.sender.send(ORCHESTRATOR, *calls)
    before = await nonce(devchain)
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, min_self_stake="5 LPT") as kept:
        told = await kept.turn()

    assert told["SelfStakeInStep"].reason == "DelegatedElsewhere"
    assert await nonce(devchain) == before


async def test_reward_caller__declared__is_set_once_and_taken_back(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    before = await nonce(devchain)
    for declared, found in ((SECOND.address, SECOND.address), ("none", "0x" + "00" * 20)):
        async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, reward_caller=declared) as kept:
            await kept.settle()
            await kept.settle()
        assert await devchain.client.bonding.reward_caller(ORCHESTRATOR.address) == found
    assert await nonce(devchain) == before + 2


async def test_reward_caller__contract_from_before_lip_118__is_told_and_all_else_goes_on(tmp_path):
    async with a_devchain(tmp_path / "chain", protocol=ProtocolVersion.EARLY_2024) as chain:
        await chain.activate_orchestrator(ORCHESTRATOR)
        before = await nonce(chain)
        assert not await has_reward_callers(chain.client.bonding)
        declared = {"reward_caller": SECOND.address, "service_uri": "same"}
        async with keeping(chain.info.network, ORCHESTRATOR, tmp_path, **declared) as kept:
            await kept.turn()
            told = await kept.turn()
        assert told["RewardCallerInStep"].reason == "NotSupported"
        assert told["ServiceUriInStep"].reason == "Registered"
        assert await nonce(chain) == before + 1


async def test_reward_caller__no_contract_at_all__is_not_taken_for_one():
    async with Rpc([]) as rpc:
        with pytest.raises(WrongChain):
            await has_reward_callers(BondingManager(rpc, COLD.address))


async def test_self_stake__evicted_this_round__comes_after_the_reward_which_is_not_lost(tmp_path):
    async with a_devchain(tmp_path / "chain", pool_max_size=1) as chain:
        await chain.activate_orchestrator(ORCHESTRATOR, stake=1_000 * LPT)
        await chain.activate_orchestrator(SECOND, stake=5_000 * LPT, advance=False)
        await chain.give_lpt(ORCHESTRATOR.address, 9_000 * LPT)
        bonding = chain.client.bonding
        async with keeping(chain.info.network, ORCHESTRATOR, tmp_path, min_self_stake="9000 LPT") as kept:
            for _ in range(2):
                assert (await kept.turn())["SelfStakeInStep"].reason == "RewardFirst"
            assert await bonding.pending_stake(ORCHESTRATOR.address) == 1_000 * LPT

            await chain.sender.send(ORCHESTRATOR, bonding.reward_call(COLD.address, COLD.address))
            await kept.settle()

        assert await bonding.pending_stake(ORCHESTRATOR.address) >= 9_000 * LPT
        await chain.next_round()
        assert await bonding.is_active(ORCHESTRATOR.address)
        assert not await bonding.is_active(SECOND.address)


async def with_fees(chain, amount):
    await chain.activate_orchestrator(ORCHESTRATOR, fee_share=0)
    await chain.fund_gateway(GATEWAY.address, deposit=Wei(2 * amount), reserve=Wei(ETH))
    ticket = await a_ticket(chain.client, GATEWAY, ORCHESTRATOR.address, face_value=Wei(amount))
    await chain.sender.send(ORCHESTRATOR, ticket.redeem_call(chain.client.broker))
    return await chain.client.bonding.pending_fees(ORCHESTRATOR.address)


async def test_fees__due__fill_the_account_and_go_to_the_cold_address_to_the_wei(devchain, tmp_path):
    fees = await with_fees(devchain, ETH)
    rpc = devchain.client.rpc
    await devchain.give_eth(ORCHESTRATOR.address, Wei(ETH // 50))
    cold_before, own_before = await rpc.balance(COLD.address), ETH // 50
    declared = {"to": COLD.address, "above": "0.2 ETH", "keep": "0.1 ETH"}
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, withdraw_fees=declared) as kept:
        await kept.settle()
        await kept.settle()

    to_cold = await rpc.balance(COLD.address) - cold_before
    assert to_cold == fees - (ETH // 10 - own_before)
    assert await devchain.client.bonding.pending_fees(ORCHESTRATOR.address) == 0


async def test_fees__to_a_contract_that_cannot_be_paid__are_left_and_it_is_said(devchain, tmp_path):
    fees = await with_fees(devchain, ETH)
    before = await nonce(devchain)
    declared = {"to": devchain.client.token.address}
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, withdraw_fees=declared) as kept:
        told = await kept.turn()

    assert told["FeesWithdrawn"].reason == "Refused"
    assert await nonce(devchain) == before
    assert await devchain.client.bonding.pending_fees(ORCHESTRATOR.address) == fees


async def test_stake_transfer__due__moves_the_surplus_bonded_and_no_more(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR, stake=1_250 * LPT)
    await devchain.activate_orchestrator(SECOND, stake=900 * LPT)
    bonding = devchain.client.bonding
    total = await bonding.total_stake(ORCHESTRATOR.address)
    declared = {"to": COLD.address, "above": "100 LPT", "keep": "1000 LPT"}
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, transfer_stake=declared) as kept:
        await kept.settle()
        await kept.settle()

    assert await bonding.pending_stake(ORCHESTRATOR.address) == 1_000 * LPT
    assert await bonding.pending_stake(COLD.address) == 250 * LPT
    assert (await bonding.delegator(COLD.address)).delegate_address == ORCHESTRATOR.address
    assert await bonding.total_stake(ORCHESTRATOR.address) == total


async def test_cold_key__everything_declared__is_proposed_and_withdrawn_once_it_was_sent(devchain, tmp_path):
    await a_rich_account(devchain)
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, signs=False, **DECLARED) as kept:
        for _ in range(2):
            told = await kept.turn()
        assert await nonce(devchain) == 0
        proposals = kept.box.open()
        assert {proposal.topic for proposal in proposals} == {"activation", "service-uri", "ai-service-uri"}
        assert "no key for this" in told["OrchestratorActivated"].message

        for proposal in proposals:
            await devchain.sender.send(ORCHESTRATOR, *(call.call() for call in proposal.calls))
        await kept.settle()

        assert kept.box.open() == ()
    await assert_activated(devchain)


async def test_gas_balances__after_transactions__tell_what_was_spent_to_the_wei(devchain, tmp_path):
    await a_rich_account(devchain)
    rpc, own = devchain.client.rpc, ORCHESTRATOR.address
    chain_id = devchain.info.chain_id
    async with Transactions(rpc, ORCHESTRATOR, tmp_path / "t.sqlite3", chain_id=chain_id) as transactions:
        balances = GasBalances(rpc, {"hot": transactions}, clock=SystemClock())
        (before,) = await balances.look()
        for uri in ("https://a.example", "https://b.example"):
            await transactions.send(uri, devchain.client.services.set_service_uri_call(uri))
        for _ in range(100):
            (after,) = await balances.look()
            if after.spent == before.balance - after.balance:
                break
            await asyncio.sleep(0.05)

    assert (before.spent, before.runway_s) == (0, None)
    assert after.spent == before.balance - await rpc.balance(own) > 0
    assert after.runway_s == pytest.approx(after.balance / after.spent * 86_400)


async def test_price_feed__on_a_chain__is_sound_and_an_account_is_no_feed(devchain):
    found = []
    for address in (devchain.info.price_feed, COLD.address):
        feed = PriceFeed(devchain.client.rpc, address)
        resource = PriceFeedResource(feed, max_age_s=3_600.0, now=SystemClock().now)
        found += [condition.reason for condition in resource.plan(await resource.observe()).conditions]

    assert found == ["Sound", "NoFeed"]


async def test_idle__everything_declared__costs_few_requests_an_hour(devchain, tmp_path):
    await a_rich_account(devchain)
    declared = DECLARED | {
        "reward_caller": "none",
        "withdraw_fees": {"to": COLD.address},
        "transfer_stake": {"to": COLD.address},
    }
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, **declared) as kept:
        await kept.settle()
        head = kept.head
        client, start = kept.client, kept.clock.time
        due = [start] * len(kept.loops)
        for loop in kept.loops:
            await loop.once()  # the loops' own times from here on
        before = sum(endpoint.requests for endpoint in client.rpc.endpoints)
        while kept.clock.time < start + 3_600:
            for index, loop in enumerate(kept.loops):
                if due[index] <= kept.clock.time:
                    due[index] = kept.clock.time + await loop.once()
            kept.clock.time += 1
            kept.head = head
        asked = sum(endpoint.requests for endpoint in client.rpc.endpoints) - before
    print(f"{asked} requests an hour for {len(kept.loops)} declared things")
    assert asked <= 72
