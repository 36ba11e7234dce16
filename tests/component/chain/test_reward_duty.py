import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from fractions import Fraction

import pytest

from livefleet.chain import (
    ChainWatcher,
    FeeTooHigh,
    HeldLease,
    RewardDuty,
    RewardPolicy,
    RewardStep,
    SpendLimit,
    SqliteLeases,
    TransactionPolicy,
    Transactions,
    connect,
)
from livefleet.chain.contracts.bonding_manager import REWARD
from livefleet.kernel import Status, SystemClock, Wei
from livefleet.reconcile.resources import RewardResource
from tests.builders.chain import a_devchain
from tests.builders.unruly_rpc import an_unruly_rpc
from tests.devchain.accounts import dev_signer
from tests.devchain.deploy import LPT, ProtocolVersion

pytestmark = pytest.mark.component

ORCHESTRATOR, SECOND, THIRD, CALLER = (dev_signer(index) for index in (1, 2, 3, 5))
POLICY = RewardPolicy(l1_block_s=1.0, initialize_within_s=0.0)


def _transactions(devchain, path, signer, **kw) -> Transactions:
    policy = TransactionPolicy(poll_s=0.05)
    return Transactions(devchain.client.rpc, signer, path, chain_id=devchain.info.chain_id, policy=policy, **kw)


@asynccontextmanager
async def a_duty(devchain, tmp_path, signer=ORCHESTRATOR, *, name="one", **settings):
    settings = {"policy": POLICY} | settings
    async with _transactions(devchain, tmp_path / f"{name}.sqlite3", signer) as transactions:
        yield RewardDuty(devchain.client, transactions, ORCHESTRATOR.address, rng=random.Random(1), **settings)


async def _step(duty):
    plan = duty.plan(await duty.observe())
    return plan, await duty.apply(plan)


async def _rewards(devchain, address=ORCHESTRATOR.address) -> int:
    logs = await devchain.client.rpc.request(
        "eth_getLogs",
        {
            "fromBlock": "0x0",
            "address": devchain.client.bonding.address,
            "topics": ["0x" + REWARD.topic.hex(), "0x" + address[2:].lower().rjust(64, "0")],
        },
    )
    return len(logs)


async def _sent(devchain, *signers) -> int:
    counts = [devchain.client.rpc.request("eth_getTransactionCount", s.address, "latest") for s in signers]
    return sum(int(count, 16) for count in await asyncio.gather(*counts))


async def _set_base_fee(devchain, wei: int) -> None:
    await devchain.client.rpc.request("anvil_setNextBlockBaseFeePerGas", hex(wei))


async def test_reward__new_round__is_called_exactly_once(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    async with a_duty(devchain, tmp_path) as duty:
        for _ in range(2):
            plan, outcome = await _step(duty)
            assert plan.step is RewardStep.CALL_REWARD
            assert outcome is not None
            assert outcome.succeeded
            assert duty.plan(await duty.observe()).reason == "Called"
            assert await duty.apply(plan) is None  # a stale plan is harmless
            await devchain.next_round()
    assert await _rewards(devchain) == 2


async def test_reward__another_instance_called_before__counts_as_done(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    async with a_duty(devchain, tmp_path) as duty:
        plan = duty.plan(await duty.observe())
        await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.reward_call(SECOND.address, THIRD.address))
        sent = await _sent(devchain, ORCHESTRATOR)
        assert await duty.apply(plan) is None
        assert await _sent(devchain, ORCHESTRATOR) == sent


async def test_reward__several_in_the_pool__goes_with_the_neighbours_of_the_new_place(devchain, tmp_path):
    await devchain.activate_orchestrator(SECOND, stake=1001 * LPT, advance=False)
    await devchain.activate_orchestrator(THIRD, stake=999 * LPT, advance=False)
    await devchain.activate_orchestrator(ORCHESTRATOR, stake=1000 * LPT)
    async with _transactions(devchain, tmp_path / "t.sqlite3", ORCHESTRATOR) as transactions:
        duty = RewardDuty(devchain.client, transactions, ORCHESTRATOR.address)
        await _step(duty)
        (intent,) = [await transactions.latest(f"reward {ORCHESTRATOR.address} round 2")]
    bonding = devchain.client.bonding
    assert await bonding.total_stake(ORCHESTRATOR.address) > 1001 * LPT
    assert intent.call.data == bonding.reward_call("0x" + "00" * 20, SECOND.address).data


async def test_reward__sent_by_its_reward_caller__belongs_to_the_orchestrator(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.set_reward_caller_call(CALLER.address))
    async with a_duty(devchain, tmp_path, CALLER) as duty:
        _, outcome = await _step(duty)
        assert outcome is not None
    assert await _rewards(devchain) == 1


async def test_reward__caller_that_nobody_set__sends_nothing_and_goes_on_once_it_is_set(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    async with a_duty(devchain, tmp_path, CALLER) as duty:
        plan, outcome = await _step(duty)
        assert (plan.reason, plan.status, outcome) == ("RewardCallerMissing", Status.FALSE, None)
        assert await _sent(devchain, CALLER) == 0
        await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.set_reward_caller_call(CALLER.address))
        assert (await _step(duty))[1] is not None
    assert await _rewards(devchain) == 1


async def test_initialize__round_that_nobody_initialized__is_initialized_then_rewarded(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.next_round(initialize=False)
    policy = RewardPolicy(initialize_rounds=True, initialize_within_s=0.0)
    async with a_duty(devchain, tmp_path, policy=policy) as duty:
        plan, outcome = await _step(duty)
        assert plan.step is RewardStep.INITIALIZE_ROUND
        assert outcome.succeeded
        assert await duty.apply(plan) is None
        assert duty.plan(await duty.observe()).step is RewardStep.CALL_REWARD


@pytest.mark.parametrize("stores", ["one store", "two stores", "two stores, one key"])
async def test_reward__two_agents_at_once__is_called_once_and_costs_one_transaction(devchain, tmp_path, stores):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.set_reward_caller_call(CALLER.address))
    before = await _sent(devchain, ORCHESTRATOR, CALLER)
    async with AsyncExitStack() as stack:
        duties = []
        for name in ("one", "other"):
            signer = CALLER if name == "one" or "one key" in stores else ORCHESTRATOR
            lease = None
            if stores == "one store":
                leases = await stack.enter_async_context(SqliteLeases(tmp_path / "shared.sqlite3"))
                lease = HeldLease(leases, "reward", name, ttl_s=30.0, clock=SystemClock())
            policy = RewardPolicy(l1_block_s=1.0, stagger_s=0.0 if lease else 60.0)
            duty = a_duty(devchain, tmp_path, signer, name=name, lease=lease, policy=policy)
            duties.append(await stack.enter_async_context(duty))
        first = await devchain.client.rounds.current_round()
        for number in range(first, first + 5):
            await asyncio.gather(*(_step(duty) for duty in duties))
            assert await _rewards(devchain) == number - first + 1
            plans = [duty.plan(await duty.observe()) for duty in duties]
            assert {plan.reason for plan in plans} == {"Called"}
            await devchain.next_round()
    assert await _sent(devchain, ORCHESTRATOR, CALLER) == before + 5


async def test_reward__other_agent_with_the_same_key_has_it_in_the_pool__waits_for_that(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.client.rpc.request("evm_setAutomine", *[False])
    sent = await _sent(devchain, ORCHESTRATOR)
    policy = RewardPolicy(l1_block_s=1.0, check_every_s=0.5)
    async with (
        a_duty(devchain, tmp_path, policy=policy) as one,
        a_duty(devchain, tmp_path, name="other", policy=policy) as other,
    ):
        await _step(one)
        await _step(other)
        assert "under way that this process did not send" in other.plan(await other.observe()).message
        assert int((await devchain.client.rpc.request("txpool_status"))["pending"], 16) == 1
        await devchain.mine()
        assert {duty.plan(await duty.observe()).reason for duty in (one, other)} == {"Called"}
    assert await _sent(devchain, ORCHESTRATOR) == sent + 1


async def test_reward__caller_stays_away__own_key_takes_over_in_the_same_round(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.set_reward_caller_call(CALLER.address))
    async with a_duty(devchain, tmp_path, policy=RewardPolicy(l1_block_s=1.0, stagger_s=0.2)) as duty:
        plan, _ = await _step(duty)
        assert plan.reason == "LeftToRewardCaller"
        await asyncio.sleep(0.25)
        assert (await _step(duty))[1] is not None


async def test_reward__caller_has_it_in_the_pool__own_key_waits_for_that(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.set_reward_caller_call(CALLER.address))
    await devchain.client.rpc.request("evm_setAutomine", *[False])
    sent = await _sent(devchain, ORCHESTRATOR)
    policy = RewardPolicy(l1_block_s=1.0, stagger_s=0.0, check_every_s=0.5)
    async with (
        a_duty(devchain, tmp_path, CALLER, name="caller", policy=policy) as caller,
        a_duty(devchain, tmp_path, policy=policy) as own,
    ):
        await _step(caller)
        plan, _ = await _step(own)
        assert plan.reason == "LeftToRewardCaller"
        await devchain.mine()
        assert own.plan(await own.observe()).reason == "Called"
    assert await _sent(devchain, ORCHESTRATOR) == sent


async def test_reward__gas_too_dear_until_late_in_the_round__waits_then_pays_the_urgent_price(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    gwei = 10**9
    policy = RewardPolicy(
        limit=SpendLimit(Wei(1 * gwei)), urgent_limit=SpendLimit(Wei(100 * gwei)), l1_block_s=0.5, check_every_s=0.5
    )
    async with a_duty(devchain, tmp_path, policy=policy) as duty:
        await _set_base_fee(devchain, 50 * gwei)
        await devchain.mine()
        plan = duty.plan(await duty.observe())
        with pytest.raises(FeeTooHigh, match="above the limit of 1000000000"):
            await duty.apply(plan)
        assert "above the limit of 1000000000" in duty.plan(await duty.observe()).message
        assert await _rewards(devchain) == 0
        await _to_share(devchain, Fraction(8, 10))
        await _set_base_fee(devchain, 50 * gwei)
        await devchain.mine()
        plan, outcome = await _step(duty)
        assert plan.reason == "DeadlineNear"
        assert outcome is not None
        assert 1 * gwei < outcome.effective_gas_price <= 100 * gwei
    assert await _rewards(devchain) == 1


async def test_reward__under_way_when_gas_rises__is_raised_at_the_same_nonce_once_the_round_is_urgent(
    devchain, tmp_path
):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.client.rpc.request("evm_setAutomine", *[False])
    gwei = 10**9
    policy = RewardPolicy(
        limit=SpendLimit(Wei(2 * gwei)), urgent_limit=SpendLimit(Wei(100 * gwei)), l1_block_s=0.2, check_every_s=0.5
    )
    async with a_duty(devchain, tmp_path, policy=policy) as duty:
        _, outcome = await _step(duty)
        assert outcome is None  # it lies in the pool
        await _set_base_fee(devchain, 10_000 * gwei)  # no block on the way to the urgent half takes it
        await _to_share(devchain, Fraction(6, 10), base_fee=50 * gwei)
        (intent,) = await duty._transactions.pending()
        assert all(attempt.max_fee <= 2 * gwei for attempt in intent.attempts)
        stepping = asyncio.ensure_future(_step(duty))
        async with asyncio.timeout(20):
            while not any(a.max_fee >= 50 * gwei for a in (await duty._transactions.pending())[0].attempts):
                await asyncio.sleep(0.05)
        await devchain.client.rpc.request("evm_setAutomine", *[True])
        await devchain.mine()
        await stepping
        raised = await duty._transactions.latest(intent.purpose)
        assert {attempt.nonce for attempt in raised.attempts} == {intent.nonce}
        assert all(attempt.max_fee <= 100 * gwei for attempt in raised.attempts)
    assert await _rewards(devchain) == 1


async def test_reward__endpoint_slower_than_the_stage_lasts__is_called_all_the_same(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    policy = RewardPolicy(l1_block_s=0.1, check_every_s=0.5)
    async with (
        an_unruly_rpc(devchain.info.rpc) as endpoint,
        await connect(_through(devchain, endpoint)) as client,
        Transactions(client.rpc, ORCHESTRATOR, tmp_path / "t", chain_id=client.chain_id) as transactions,
    ):
        duty = RewardDuty(client, transactions, ORCHESTRATOR.address, policy=policy)
        await duty.observe()
        await endpoint.become(slow_s=0.3)
        await _step(duty)
    assert await _rewards(devchain) == 1


def _through(devchain, endpoint):
    return devchain.info.network.model_copy(update={"rpc": (endpoint.url,)})


async def test_missed__rounds_that_nobody_rewarded__are_found_by_looking_back(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    first = await devchain.client.rounds.current_round()
    async with a_duty(devchain, tmp_path) as duty:
        await _step(duty)
    await devchain.next_round()
    await devchain.next_round()
    await devchain.next_round(initialize=False)  # a round that nobody initialised had no reward to miss
    await devchain.next_round()
    async with a_duty(devchain, tmp_path) as duty:
        resource = RewardResource(duty, every_s=1.0)
        for action in resource.plan(await resource.observe()).actions:
            await resource.apply(action)
        called, complete = resource.plan(await resource.observe()).conditions
        assert (called.name, called.reason, resource.calls) == ("RewardCalled", "Called", 1)
        assert (complete.reason, complete.status) == ("RoundsMissed", Status.TRUE)
        assert f"2 of the last rounds ended without a reward: {first + 1}, {first + 2}" in complete.message
        await devchain.next_round()
        await devchain.next_round()  # the one before was missed just now
        for action in resource.plan(await resource.observe()).actions:
            await resource.apply(action)
        _, complete = resource.plan(await resource.observe()).conditions
        assert complete.status is Status.FALSE
        assert f"{first + 5}" in complete.message


async def test_resource__reward_that_cannot_be_paid__is_told_counted_once_and_tried_again(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    balance = await devchain.client.rpc.balance(ORCHESTRATOR.address)
    await devchain.give_eth(ORCHESTRATOR.address, Wei(1000))
    async with a_duty(devchain, tmp_path) as duty:
        resource = RewardResource(duty, every_s=1.0)
        for _ in range(2):
            (action,) = resource.plan(await resource.observe()).actions
            await resource.apply(action)
        plan = resource.plan(await resource.observe())
        assert "send it ETH" in plan.conditions[0].message
        assert (resource.calls, resource.failures) == (0, 1)
        await devchain.give_eth(ORCHESTRATOR.address, Wei(balance))
        await resource.apply(plan.actions[0])
        assert (resource.calls, resource.failures) == (1, 1)


async def test_resource__last_round_missed_and_this_one_cannot_be_paid_either__is_told_after_the_first_try(
    devchain, tmp_path
):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    lost = await devchain.client.rounds.current_round()
    await devchain.next_round()
    await devchain.give_eth(ORCHESTRATOR.address, Wei(1000))
    async with a_duty(devchain, tmp_path) as duty:
        resource = RewardResource(duty, every_s=1.0)
        plan = resource.plan(await resource.observe())
        assert plan.conditions[1].status is Status.UNKNOWN  # the call of now goes first
        await resource.apply(plan.actions[0])
        complete = resource.plan(await resource.observe()).conditions[1]
        assert (complete.status, complete.reason) == (Status.FALSE, "RoundsMissed")
        assert f"without a reward: {lost};" in complete.message


async def test_observe__round_that_is_done_with__asks_the_chain_nothing_until_the_watcher_sees_another(
    devchain, tmp_path
):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address)
    async with a_duty(devchain, tmp_path, head=watcher.head) as duty:
        await watcher.look()
        await _step(duty)
        assert duty.plan(await duty.observe()).reason == "Called"
        await devchain.mine(3)
        await watcher.look()
        asked = devchain.client.rpc.endpoints[0].requests
        for _ in range(20):
            assert duty.plan(await duty.observe()).reason == "Called"
        assert devchain.client.rpc.endpoints[0].requests == asked
        await devchain.next_round()
        await watcher.look()
        assert duty.plan(await duty.observe()).step is RewardStep.CALL_REWARD


async def test_reward__its_block_is_taken_back__is_noticed_and_called_again(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address)
    async with a_duty(devchain, tmp_path, head=watcher.head, safe_depth=3) as duty:
        await watcher.look()
        await _step(duty)
        assert duty.plan(await duty.observe()).reason == "Called"
        await devchain.client.rpc.request("anvil_reorg", 1, [])
        await devchain.client.rpc.request("anvil_dropAllTransactions")
        assert await _rewards(devchain) == 0
        await devchain.mine(4)
        await watcher.look()
        _, outcome = await _step(duty)
        assert outcome is not None
        await devchain.mine(4)
        await watcher.look()
        for _ in range(2):  # read once more when it lies deep
            assert duty.plan(await duty.observe()).reason == "Called"
        asked = devchain.client.rpc.endpoints[0].requests
        assert duty.plan(await duty.observe()).reason == "Called"
        assert devchain.client.rpc.endpoints[0].requests == asked
    assert await _rewards(devchain) == 1


async def _to_share(devchain, share: Fraction, *, base_fee: int | None = None) -> None:
    """Mine to a share of the current round."""
    rounds = devchain.client.rounds
    start, length = await rounds.current_round_start_block(), await rounds.round_length()
    await devchain.mine(int(start + share * length) - await rounds.block_num() - 1)
    if base_fee is not None:
        await _set_base_fee(devchain, base_fee)
    await devchain.mine()


async def test_reward__contracts_older_than_reward_callers__is_called_by_the_orchestrators_key_alone(tmp_path):
    async with a_devchain(tmp_path / "old", protocol=ProtocolVersion.EARLY_2024) as chain:
        await chain.activate_orchestrator(ORCHESTRATOR)
        async with a_duty(chain, tmp_path, CALLER, name="caller") as duty:
            plan, outcome = await _step(duty)
            assert (plan.reason, outcome) == ("RewardCallersUnknown", None)
            assert "older than LIP-118" in plan.message
        async with a_duty(chain, tmp_path) as duty:
            assert (await _step(duty))[1] is not None
            assert await duty.apply(replace(plan, step=RewardStep.CALL_REWARD)) is None  # `already called` as well
        assert await _rewards(chain) == 1
