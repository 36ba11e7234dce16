import asyncio

import pytest

from livefleet.chain import ChainWatcher, Rpc, connect
from livefleet.kernel import Transient, Wei
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

ORCHESTRATOR, GATEWAY = dev_signer(1), dev_signer(4)


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
    await devchain.next_round(initialize=False)
    head = await watcher.look()
    assert (head.current_round, head.last_initialized_round) == (3, 2)
    assert not head.round_is_initialized
    assert watcher.head() == head


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
        async with asyncio.timeout(30):
            first = await watcher.wait_for_change()
        heard = []
        stop = watcher.subscribe(heard.append)
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(watcher.wait_for_change())
            await asyncio.sleep(0)
            await devchain.mine(3)
        assert waiting.result().l1_block == first.l1_block + 3
        assert heard[-1].l1_block == first.l1_block + 3
        stop()


async def test_watcher__node_away__keeps_the_last_head_and_says_why(devchain):
    network = devchain.info.network
    async with (
        await connect(network) as client,
        Rpc(["http://127.0.0.1:9"], timeout_s=2) as nobody,
        ChainWatcher(client, recipient=ORCHESTRATOR.address, poll_s=0.05) as watcher,
    ):
        async with asyncio.timeout(30):
            head = await watcher.wait_for_change()
        client.rpc, alive = nobody, client.rpc
        async with asyncio.timeout(30):
            while watcher.last_error is None:
                await asyncio.sleep(0.02)
        assert "no JSON-RPC endpoint answers" in watcher.last_error
        assert watcher.head().l1_block == head.l1_block
        client.rpc = alive
        await devchain.mine()
        async with asyncio.timeout(30):
            assert (await watcher.wait_for_change()).l1_block == head.l1_block + 1
        assert watcher.last_error is None
