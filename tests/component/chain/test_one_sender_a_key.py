"""Several processes with one key: one sends, the others stand by and take over."""

import asyncio
import sys
from contextlib import asynccontextmanager

import pytest

from livefleet.chain import KeyBusy, SqliteIntents, SqliteLeases, TransactionPolicy, Transactions
from livefleet.kernel import Wei
from tests.component.chain.killed_sender import DEPOSIT, PURPOSE
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

SIGNER = dev_signer(4)
QUICK = TransactionPolicy(poll_s=0.05, lease_s=3.0)


@asynccontextmanager
async def a_process(devchain, database):
    """A sender in a process of its own, killed in the end."""
    info = devchain.info
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.component.chain.killed_sender"),
        *(info.rpc, str(info.chain_id), devchain.client.broker.address, str(database), "never"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _line(child) -> str:
    assert child.stdout is not None
    return (await asyncio.wait_for(child.stdout.readline(), 60)).decode().strip()


def _transactions(devchain, database, **settings) -> Transactions:
    settings = {"policy": QUICK} | settings
    return Transactions(devchain.client.rpc, SIGNER, database, chain_id=devchain.info.chain_id, **settings)


async def _deposit(devchain) -> int:
    return (await devchain.client.broker.sender_info(SIGNER.address, SIGNER.address)).deposit


def _fund(devchain, more=0):
    return devchain.client.broker.fund_call(Wei(DEPOSIT + more), Wei(0))


async def test_second_process__first_is_killed_midway__takes_over_and_settles_what_it_left(devchain, tmp_path):
    database = tmp_path / "transactions.sqlite3"
    await devchain.client.rpc.request("evm_setAutomine", *[False])
    async with a_process(devchain, database) as first:
        assert await _line(first) == "held"
        async with asyncio.timeout(30):
            while int((await devchain.client.rpc.request("txpool_status"))["pending"], 16) == 0:
                await asyncio.sleep(0.02)
        async with a_process(devchain, database) as second:
            assert await _line(second) == "standing by"
            await devchain.client.rpc.request("anvil_dropAllTransactions")  # so that the second one has work to do
            first.kill()
            await first.wait()
            async with asyncio.timeout(30):
                while int((await devchain.client.rpc.request("txpool_status"))["pending"], 16) == 0:
                    await asyncio.sleep(0.02)
            await devchain.mine()
            assert await _line(second) == "done"
    await devchain.mine(3)
    assert await _deposit(devchain) == DEPOSIT
    assert int(await devchain.client.rpc.request("eth_getTransactionCount", SIGNER.address, "latest"), 16) == 1
    async with SqliteIntents(database, chain_id=devchain.info.chain_id, signer=SIGNER.address) as store:
        (settled,) = await store.settled(0, 10)
        assert (settled.purpose, len(settled.attempts)) == (PURPOSE, 1)


async def test_send__another_process_holds_the_key__says_who_and_records_nothing(devchain, tmp_path):
    database = tmp_path / "transactions.sqlite3"
    async with a_process(devchain, database) as first:
        assert await _line(first) == "held"
        assert await _line(first) == "done"
        async with _transactions(devchain, database) as transactions:
            with pytest.raises(KeyBusy, match=f"pid {first.pid} .* sends for {SIGNER.address}; this one stands by"):
                await transactions.send("another aim", _fund(devchain))
            assert await transactions.latest("another aim") is None
            first.kill()
            await first.wait()
            async with asyncio.timeout(10):
                while transactions.standing_by is not None:
                    await asyncio.sleep(0.05)
            assert (await transactions.send("another aim", _fund(devchain))).succeeded


async def test_lease__taken_by_another_while_this_process_slept__stops_sending_and_wakes_the_waiters(
    devchain, tmp_path
):
    database = tmp_path / "transactions.sqlite3"
    await devchain.client.rpc.request("evm_setAutomine", *[False])
    async with SqliteLeases(database) as leases, _transactions(devchain, database, leases=leases) as transactions:
        waiting = asyncio.ensure_future(transactions.send("aim", _fund(devchain)))
        async with asyncio.timeout(10):
            while not await transactions.pending():
                await asyncio.sleep(0.02)
        held = await leases.holder(f"key {SIGNER.address}")
        assert held is not None
        await leases.release(f"key {SIGNER.address}", held.holder)  # as if it had run out
        assert await leases.take(f"key {SIGNER.address}", "another", 60.0)
        with pytest.raises(KeyBusy, match="another"):
            await asyncio.wait_for(waiting, 10)
        with pytest.raises(KeyBusy):
            await transactions.send("aim", _fund(devchain))


async def test_two_stores__same_key_and_different_aims__both_happen_once(devchain, tmp_path):
    paths = [tmp_path / "one.sqlite3", tmp_path / "other.sqlite3"]
    async with _transactions(devchain, paths[0]) as one, _transactions(devchain, paths[1]) as other:
        outcomes = await asyncio.wait_for(
            asyncio.gather(*(t.send(f"aim {n}", _fund(devchain, n)) for n in range(6) for t in [(one, other)[n % 2]])),
            60,
        )
        assert all(outcome.succeeded for outcome in outcomes)
    assert await _deposit(devchain) == 6 * DEPOSIT + sum(range(6))
