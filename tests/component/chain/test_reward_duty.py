import random

import pytest

from livefleet.chain import RewardDuty, RewardStep, Transactions
from livefleet.chain.contracts.bonding_manager import REWARD
from tests.devchain.accounts import dev_signer
from tests.devchain.deploy import LPT

pytestmark = pytest.mark.component

ORCHESTRATOR, SECOND, THIRD, CALLER = (dev_signer(index) for index in (1, 2, 3, 5))


def _transactions(devchain, tmp_path, signer) -> Transactions:
    return Transactions(
        devchain.client.rpc, signer, tmp_path / f"{signer.address}.sqlite3", chain_id=devchain.info.chain_id
    )


async def _rewards(devchain, address) -> int:
    logs = await devchain.client.rpc.request(
        "eth_getLogs",
        {
            "fromBlock": "0x0",
            "address": devchain.client.bonding.address,
            "topics": ["0x" + REWARD.topic.hex(), "0x" + address[2:].lower().rjust(64, "0")],
        },
    )
    return len(logs)


async def test_reward__new_round__is_called_exactly_once(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    async with _transactions(devchain, tmp_path, ORCHESTRATOR) as transactions:
        duty = RewardDuty(devchain.client, transactions, ORCHESTRATOR.address)
        for _ in range(2):
            plan = duty.plan(await duty.observe())
            assert plan.step is RewardStep.CALL_REWARD
            outcome = await duty.apply(plan)
            assert outcome is not None
            assert outcome.succeeded
            assert duty.plan(await duty.observe()).reason == "Called"
            assert await duty.apply(plan) is None  # a stale plan is harmless
            await devchain.next_round()
    assert await _rewards(devchain, ORCHESTRATOR.address) == 2


async def test_reward__another_instance_called_before__counts_as_done(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    async with _transactions(devchain, tmp_path, ORCHESTRATOR) as transactions:
        duty = RewardDuty(devchain.client, transactions, ORCHESTRATOR.address)
        plan = duty.plan(await duty.observe())
        await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.reward_call(SECOND.address, THIRD.address))
        assert await duty.apply(plan) is None


async def test_reward__several_in_the_pool__goes_with_the_neighbours_of_the_new_place(devchain, tmp_path):
    await devchain.activate_orchestrator(SECOND, stake=1001 * LPT, advance=False)
    await devchain.activate_orchestrator(THIRD, stake=999 * LPT, advance=False)
    await devchain.activate_orchestrator(ORCHESTRATOR, stake=1000 * LPT)
    async with _transactions(devchain, tmp_path, ORCHESTRATOR) as transactions:
        duty = RewardDuty(devchain.client, transactions, ORCHESTRATOR.address)
        await duty.apply(duty.plan(await duty.observe()))
        (intent,) = [await transactions.latest(f"reward {ORCHESTRATOR.address} round 2")]
    bonding = devchain.client.bonding
    assert await bonding.total_stake(ORCHESTRATOR.address) > 1001 * LPT
    assert intent.call.data == bonding.reward_call("0x" + "00" * 20, SECOND.address).data


async def test_reward__sent_by_its_reward_caller__belongs_to_the_orchestrator(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.set_reward_caller_call(CALLER.address))
    assert await devchain.client.bonding.reward_caller(ORCHESTRATOR.address) == CALLER.address
    async with _transactions(devchain, tmp_path, CALLER) as transactions:
        duty = RewardDuty(devchain.client, transactions, ORCHESTRATOR.address)
        assert await duty.apply(duty.plan(await duty.observe())) is not None
    assert await _rewards(devchain, ORCHESTRATOR.address) == 1


async def test_initialize__round_that_nobody_initialized__is_initialized_then_rewarded(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.next_round(initialize=False)
    async with _transactions(devchain, tmp_path, ORCHESTRATOR) as transactions:
        duty = RewardDuty(
            devchain.client,
            transactions,
            ORCHESTRATOR.address,
            initialize_rounds=True,
            initialize_within_s=0.01,
            rng=random.Random(1),
        )
        plan = duty.plan(await duty.observe())
        assert plan.step is RewardStep.INITIALIZE_ROUND
        assert (await duty.apply(plan)).succeeded
        assert await duty.apply(plan) is None
        assert duty.plan(await duty.observe()).step is RewardStep.CALL_REWARD
