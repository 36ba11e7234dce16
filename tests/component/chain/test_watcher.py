import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from livefleet.chain import ChainWatcher, Controller, Rpc, connect
from livefleet.chain.abi import Function
from livefleet.chain.contracts.controller import contract_id
from livefleet.kernel import BlockNumber, Transient, Wei
from tests.builders.clock import HandClock
from tests.builders.unruly_rpc import an_unruly_rpc
from tests.devchain.accounts import DEPLOYER, dev_signer

pytestmark = pytest.mark.component

ORCHESTRATOR, GATEWAY = dev_signer(1), dev_signer(4)
SET_CONTRACT = Function.parse("setContractInfo(bytes32 id, address contractAddress, bytes20 gitCommitHash)")


@asynccontextmanager
async def a_watcher_over(devchain, *endpoints, clock=None, **options):
    """A watcher that sees the chain through these endpoints; nobody has entered it."""
    network = devchain.info.network.model_copy(update={"rpc": tuple(endpoint.url for endpoint in endpoints)})
    async with await connect(network, clock=clock) as client:
        yield ChainWatcher(client, recipient=ORCHESTRATOR.address, clock=clock, **options)


async def until(what, true, *, within_s=20.0):
    """Wait for something that a running watcher does."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, f"not in {within_s} s: {what}"
        await asyncio.sleep(0.02)


async def test_head__before_the_first_look__is_transient(devchain):
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address)
    with pytest.raises(Transient, match="not seen yet"):
        watcher.head()


async def test_look__new_round__shows_block_round_hashes_and_pool(devchain):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    rounds = devchain.client.rounds
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address)
    head = await watcher.look()
    assert head.l1_block == await rounds.block_num()
    assert (head.current_round, head.last_initialized_round, head.pool_size) == (2, 2, 1)
    assert head.round_is_initialized
    assert head.round_block_hash == await rounds.block_hash_for_round(2) != b"\0" * 32
    assert head.previous_round_block_hash == await rounds.block_hash_for_round(1)
    assert head.round_start_block == await rounds.current_round_start_block()
    assert head.round_length == await rounds.round_length()
    assert head.round_is_locked == await rounds.current_round_locked()
    await devchain.next_round(initialize=False)
    head = await watcher.look()
    assert (head.current_round, head.last_initialized_round) == (3, 2)
    assert not head.round_is_initialized
    assert watcher.head() == head


async def test_look__last_block_before_the_lock_and_first_one_in_it__are_told_apart(devchain):
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address)
    head = await watcher.look()
    await devchain.mine(head.round_end_block - head.round_lock_blocks - 1 - head.l1_block)
    assert not (await watcher.look()).round_is_locked
    assert not await devchain.client.rounds.current_round_locked()
    await devchain.mine()
    assert (await watcher.look()).round_is_locked
    assert await devchain.client.rounds.current_round_locked()


async def test_gas_price__is_the_base_fee_of_the_block_that_was_seen(devchain):
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address)
    await devchain.client.rpc.request("anvil_setNextBlockBaseFeePerGas", hex(123_456_789))
    await devchain.mine()
    assert (await watcher.look()).gas_price == 123_456_789


async def test_sender_info__asked_once__rides_along_with_later_looks(devchain):
    await devchain.activate_orchestrator(ORCHESTRATOR, advance=False)
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address)
    await watcher.look()
    assert (await watcher.sender_info(GATEWAY.address)).deposit == 0
    assert not await watcher.is_active(ORCHESTRATOR.address)
    await devchain.fund_gateway(GATEWAY.address, deposit=Wei(5), reserve=Wei(6))
    await devchain.next_round()
    assert (await watcher.sender_info(GATEWAY.address)).deposit == 0  # as of the last look
    await watcher.look()
    info = await watcher.sender_info(GATEWAY.address)
    assert (info.deposit, info.reserve_remaining) == (5, 6)
    assert await watcher.is_active(ORCHESTRATOR.address)


async def test_changes__new_block__nudge_listeners_and_waiters(devchain):
    async with ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address, poll_s=0.05) as watcher:
        await until("a look", lambda: watcher.looks >= 1)
        first = watcher.head()
        heard, rounds_heard = [], []
        stop = watcher.subscribe(heard.append)
        watcher.subscribe_rounds(rounds_heard.append)
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(watcher.wait_for_change())
            await asyncio.sleep(0)
            await devchain.mine(3)
        assert waiting.result().l1_block == first.l1_block + 3
        assert heard[-1].l1_block == first.l1_block + 3
        assert rounds_heard == []
        await devchain.next_round()
        await until("the round", lambda: rounds_heard and rounds_heard[-1].round_is_initialized)
        assert rounds_heard[-1].current_round == first.current_round + 1
        stop()


async def test_idle__nothing_but_time_passes__a_look_is_one_request(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, a_watcher_over(devchain, endpoint) as watcher:
        await watcher.look()
        for _ in range(3):
            await devchain.mine()
            endpoint.forget_counts()
            await watcher._look(thoroughly=False)
            assert endpoint.methods == {"eth_getBlockByNumber": 1}
        assert watcher.head().l1_block == await devchain.client.rounds.block_num()


async def test_look__senders_ride_along__they_and_the_pools_size_are_read_with_each_l1_block(devchain):
    await devchain.fund_gateway(GATEWAY.address, deposit=Wei(5), reserve=Wei(6))
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, a_watcher_over(devchain, endpoint) as watcher:
        await watcher.look()
        assert (await watcher.sender_info(GATEWAY.address)).deposit == 5
        await devchain.fund_gateway(GATEWAY.address, deposit=Wei(7), reserve=Wei(6))
        await devchain.activate_orchestrator(ORCHESTRATOR, advance=False)
        endpoint.forget_counts()
        assert (await watcher._look(thoroughly=False)).pool_size == 1
        assert (await watcher.sender_info(GATEWAY.address)).deposit == 12
        assert endpoint.methods == {"eth_getBlockByNumber": 1, "eth_call": 3}


async def test_idle__round_begins__is_read_from_the_contracts_at_once(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, a_watcher_over(devchain, endpoint) as watcher:
        await watcher.look()
        for initialize in (False, True):
            await (devchain.next_round(initialize=False) if not initialize else devchain.initialize_round())
            head = await watcher._look(thoroughly=False)
            assert head.round_is_initialized is initialize
            assert head.current_round == await devchain.client.rounds.current_round()
            assert head.round_start_block == await devchain.client.rounds.current_round_start_block()


@pytest.mark.parametrize("l1_field", [False, True])
async def test_l1_block__from_the_header_where_it_agrees_with_the_contract(devchain, l1_field):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, a_watcher_over(devchain, endpoint) as watcher:
        await endpoint.become(l1_field=l1_field)
        await watcher.look()
        await devchain.mine(2)
        endpoint.forget_counts()
        assert (await watcher._look(thoroughly=False)).l1_block == await devchain.client.rounds.block_num()
        assert endpoint.methods["eth_call"] == 0


async def test_l1_block__next_endpoint_has_no_such_field__the_contract_is_asked(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, a_watcher_over(devchain, endpoint) as watcher:
        await endpoint.become(l1_field=True)
        await watcher.look()
        await endpoint.behave()
        await devchain.mine(2)
        endpoint.forget_counts()
        assert (await watcher._look(thoroughly=False)).l1_block == await devchain.client.rounds.block_num()
        assert endpoint.methods["eth_call"] == 1


async def test_rounds_end_is_near__is_noticed_within_a_second_without_being_polled_for(devchain):
    """Blocks come at their pace; the watcher idles for half a minute between its looks."""
    block_s = 0.5
    async with (
        an_unruly_rpc(devchain.info.rpc) as endpoint,
        a_watcher_over(devchain, endpoint, poll_s=30.0, l1_block_s=block_s) as watcher,
    ):
        head = await watcher.look()
        await devchain.mine(head.blocks_left_in_round - 10)
        async with watcher:
            await until("a look", lambda: watcher.looks >= 2)
            noticed = asyncio.get_running_loop().create_future()
            watcher.subscribe_rounds(lambda _: noticed.done() or noticed.set_result(time.perf_counter()))
            endpoint.forget_counts()
            for _ in range(10):
                await asyncio.sleep(block_s)
                await devchain.mine()
            began = time.perf_counter()
            async with asyncio.timeout(10):
                assert await noticed - began < 1.0
    assert endpoint.methods["eth_getBlockByNumber"] < 20


async def test_quicken__while_something_is_under_way__looks_that_often(devchain):
    async with ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address, poll_s=60.0) as watcher:
        await until("a look", lambda: watcher.looks >= 1)
        await devchain.mine()
        await asyncio.sleep(0.2)
        assert watcher.looks == 1
        with watcher.quicken(every_s=0.05):
            await until("more looks", lambda: watcher.looks >= 5, within_s=5)
        await asyncio.sleep(0.2)
        looks = watcher.looks
        await asyncio.sleep(0.3)
        assert watcher.looks == looks


async def test_expect__awaited_block__is_seen_soon(devchain):
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address, poll_s=60.0, l1_block_s=1.0)
    async with watcher:
        await until("a look", lambda: watcher.looks >= 1)
        awaited = BlockNumber(watcher.head().l1_block + 1)
        watcher.expect(awaited)
        await devchain.mine()
        await until("the block", lambda: watcher.head().l1_block >= awaited, within_s=2)


async def test_watcher__node_away__keeps_the_last_head_says_why_and_reckons_on(devchain):
    async with (
        an_unruly_rpc(devchain.info.rpc) as endpoint,
        a_watcher_over(devchain, endpoint, poll_s=0.05, l1_block_s=0.2) as watcher,
        watcher,
    ):
        await until("a look", lambda: watcher.looks >= 1)
        head = watcher.head()
        assert watcher.present() == head
        await endpoint.become(refuses=True)
        await until("the failure", lambda: watcher.last_error is not None)
        assert "no JSON-RPC endpoint answers" in watcher.last_error
        assert watcher.head().l1_block == head.l1_block
        await until("time to pass", lambda: watcher.present().l1_block > head.l1_block + 1)
        await endpoint.behave()
        await devchain.mine()
        await until("the new block", lambda: watcher.head().l1_block == head.l1_block + 1)
        assert watcher.last_error is None
        assert watcher.present() == watcher.head()


async def test_present__last_look_is_too_old__is_transient(devchain):
    clock = HandClock()
    async with (
        an_unruly_rpc(devchain.info.rpc) as endpoint,
        a_watcher_over(devchain, endpoint, clock=clock) as watcher,
    ):
        await watcher.look()
        watcher.last_error = "all away"
        clock.time += 12.0 * (max(40, watcher.head().blocks_left_in_round) - 1)
        assert watcher.present().l1_block > watcher.head().l1_block
        clock.time += 24.0
        with pytest.raises(Transient, match="too long for payments: all away"):
            watcher.present()


async def test_reorganisation__blocks_are_replaced__is_noticed_told_and_everything_read_again(devchain, caplog):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address, confirmations=3)
    await devchain.mine(5)
    kept = (await watcher.look()).block
    await devchain.fund_gateway(GATEWAY.address, deposit=Wei(5), reserve=Wei(6))
    before = await watcher.look()
    assert (await watcher.sender_info(GATEWAY.address)).deposit == 5
    heard = []
    watcher.subscribe_rounds(heard.append)
    await devchain.client.rpc.request("anvil_reorg", 1, [])  # the same height, without the deposit
    after = await watcher._look(thoroughly=False)
    assert after.block == before.block
    assert after.block_hash != before.block_hash
    assert (await watcher.sender_info(GATEWAY.address)).deposit == 0
    assert heard == [after]
    assert watcher.reorganisations == 1
    assert (watcher.last_reorganisation.kept, watcher.last_reorganisation.dropped) == (kept, before.block)
    assert "chain.reorganised" in caplog.text
    assert watcher.safe_block == after.block - 3
    await devchain.mine()
    await watcher._look(thoroughly=False)
    assert watcher.reorganisations == 1


async def test_reorganisation__round_was_initialised_in_a_dropped_block__its_hash_is_the_new_ones(devchain):
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address)
    round_ = await devchain.next_round()
    before = await watcher.look()
    await devchain.client.rpc.request("anvil_reorg", 1, [])
    await devchain.initialize_round()
    after = await watcher._look(thoroughly=False)
    assert after.last_initialized_round == before.last_initialized_round == round_
    assert after.round_block_hash == await devchain.client.rounds.block_hash_for_round(round_)
    assert after.round_block_hash != before.round_block_hash


async def test_reorganisation__happened_while_blocks_went_on__is_found_by_the_block_of_the_last_look(devchain):
    watcher = ChainWatcher(devchain.client, recipient=ORCHESTRATOR.address)
    await devchain.mine(10)
    await watcher.look()
    await devchain.client.rpc.request("anvil_reorg", 3, [])
    await devchain.mine(5)  # nothing that is seen now is the child of what was seen
    await watcher.look()
    assert watcher.reorganisations == 1


async def test_head__endpoint_falls_behind__is_its_lag_and_no_reorganisation(devchain):
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, a_watcher_over(devchain, endpoint) as watcher:
        await devchain.mine(10)
        before = await watcher.look()
        await endpoint.become(stale_by=5)
        with pytest.raises(Transient, match="behind"):
            await watcher.look()
        assert watcher.head() == before
        await endpoint.behave()
        await devchain.mine()
        assert (await watcher.look()).block == before.block + 1
        assert watcher.reorganisations == 0


async def test_head__endpoint_is_a_little_behind__is_no_news_and_no_failure(devchain):
    """Nodes behind one hosted name differ by some blocks."""
    async with an_unruly_rpc(devchain.info.rpc) as endpoint, a_watcher_over(devchain, endpoint) as watcher:
        await devchain.mine(10)
        before = await watcher.look()
        await endpoint.become(stale_by=1)
        assert (await watcher._look(thoroughly=False)).block == before.block
        assert not watcher.endpoints[0].is_behind
        assert watcher.reorganisations == 0


async def test_head__first_endpoint_sticks__the_other_shows_the_chain(devchain):
    async with (
        an_unruly_rpc(devchain.info.rpc) as first,
        an_unruly_rpc(devchain.info.rpc) as second,
        a_watcher_over(devchain, first, second, poll_s=0.05, l1_block_s=0.1) as watcher,
        watcher,
    ):
        for _ in range(3):
            await devchain.mine()
            await watcher.look()
        await first.become(stuck_at=watcher.head().block)
        await devchain.mine(20)
        await until("the blocks", lambda: watcher.head().block >= first.faults.stuck_at + 20, within_s=3)
        assert watcher.reorganisations == 0


async def test_head__first_endpoint_goes_over_to_a_fork__it_rests_and_nothing_is_dropped(devchain):
    async with (
        an_unruly_rpc(devchain.info.rpc) as first,
        an_unruly_rpc(devchain.info.rpc) as second,
        a_watcher_over(devchain, first, second) as watcher,
    ):
        await devchain.mine(10)
        before = await watcher.look()
        await first.become(forked_at=before.block - 2)
        await devchain.mine()
        after = await watcher._look(thoroughly=False)
        (header,) = await devchain.client.rpc.headers([after.block])
        assert after.block_hash == header.hash
        assert watcher.reorganisations == 0
        assert "fork" in watcher.endpoints[0].why


async def test_addresses__the_controller_names_another_contract__readers_go_over_to_it(devchain):
    async with await connect(devchain.info.network) as client:
        old = client.broker.address
        assert await client.look_up_again() == ()
        await _set_contract(devchain, "TicketBroker", client.minter.address)
        assert await client.look_up_again() == ("TicketBroker",)
        assert client.broker.address == client.minter.address != old
        await _set_contract(devchain, "TicketBroker", "0x" + "00" * 20)
        assert await client.look_up_again() == ()  # nothing is no place to go
        assert client.broker.address == client.minter.address


async def _set_contract(devchain, name, address):
    async with Rpc([devchain.info.rpc]) as rpc:
        controller = Controller(rpc, devchain.client.controller.address)
        call = controller.call(SET_CONTRACT, contract_id(name), address, b"\0" * 20)
        await devchain.sender.send(dev_signer(DEPLOYER), call)
