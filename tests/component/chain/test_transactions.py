import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from livefleet.chain import (
    FeeTooHigh,
    IntentState,
    OutOfFunds,
    Reverted,
    SpendLimit,
    TransactionPolicy,
    Transactions,
)
from livefleet.kernel import Wei
from tests.component.chain.killed_sender import DEPOSIT, MOMENTS, PURPOSE
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

SIGNER = dev_signer(4)
ETH = 10**18
QUICK = TransactionPolicy(poll_s=0.05)


@asynccontextmanager
async def _transactions(devchain, tmp_path, *, policy=QUICK, signer=SIGNER):
    database = tmp_path / "state" / "transactions.sqlite3"
    async with Transactions(
        devchain.client.rpc, signer, database, chain_id=devchain.info.chain_id, policy=policy
    ) as transactions:
        yield transactions


def _fund(devchain, amount=ETH):
    return devchain.client.broker.fund_call(Wei(amount), Wei(0))


async def _deposit(devchain) -> int:
    return (await devchain.client.broker.sender_info(SIGNER.address, SIGNER.address)).deposit


async def _automine(devchain, on: bool) -> None:
    await devchain.client.rpc.request("evm_setAutomine", on)


async def _until(predicate) -> None:
    async with asyncio.timeout(30):
        while not await predicate():
            await asyncio.sleep(0.02)


async def test_send__call_that_works__is_mined_and_remembered(devchain, tmp_path):
    async with _transactions(devchain, tmp_path) as transactions:
        outcome = await transactions.send("fund", _fund(devchain))
        assert outcome.succeeded
        assert await transactions.outcome("fund") == outcome
        assert await transactions.pending() == ()
    async with _transactions(devchain, tmp_path) as transactions:
        assert await transactions.outcome("fund") == outcome
    assert await _deposit(devchain) == ETH


async def test_send__call_that_would_revert__is_never_recorded(devchain, tmp_path):
    call = replace(_fund(devchain), value=Wei(1))
    async with _transactions(devchain, tmp_path) as transactions:
        with pytest.raises(Reverted) as refused:
            await transactions.send("fund", call)
        assert refused.value.reason == "msg.value does not equal sum of deposit amount and reserve amount"
        assert await transactions.latest("fund") is None


async def test_send__gas_above_the_limit_or_an_empty_account__sends_nothing(devchain, tmp_path):
    async with _transactions(devchain, tmp_path) as transactions:
        with pytest.raises(FeeTooHigh, match="above the limit of 1"):
            await transactions.send("fund", _fund(devchain), limit=SpendLimit(Wei(1)))
        balance = await devchain.client.rpc.balance(SIGNER.address)
        with pytest.raises(OutOfFunds, match=r"holds \d+ wei"):
            await transactions.send("fund", _fund(devchain, balance))
        assert await transactions.latest("fund") is None
    assert int(await devchain.client.rpc.request("eth_getTransactionCount", SIGNER.address, "pending"), 16) == 0


async def test_send__same_purpose_while_pending__joins_the_one_intent(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with _transactions(devchain, tmp_path) as transactions, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(transactions.send("fund", _fund(devchain)))
        second = tasks.create_task(transactions.send("fund", _fund(devchain)))
        other = tasks.create_task(transactions.send("fund more", _fund(devchain)))

        async def all_recorded() -> bool:
            return len(await transactions.pending()) == 2

        await _until(all_recorded)
        assert [intent.nonce for intent in await transactions.pending()] == [0, 1]
        await _automine(devchain, on=True)
        await devchain.mine()
        assert await first == await second
        assert (await other).succeeded
    assert await _deposit(devchain) == 2 * ETH


@pytest.mark.parametrize("moment", MOMENTS)
async def test_resume__killed_at_any_moment__happens_exactly_once(devchain, tmp_path, moment):
    await _automine(devchain, on="settlement" in moment)
    database = tmp_path / "state" / "transactions.sqlite3"
    info = devchain.info
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.component.chain.killed_sender"),
        *(info.rpc, str(info.chain_id), devchain.client.broker.address, str(database), moment),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await asyncio.wait_for(child.wait(), 60) == -signal.SIGKILL
    await _automine(devchain, on=True)

    async with _transactions(devchain, tmp_path) as transactions:  # the dead process's lease is over at once
        for intent in await transactions.resume():
            assert intent.purpose == PURPOSE
        await devchain.mine()
        before = await transactions.latest(PURPOSE)
        if before is None or before.is_live:
            outcome = await asyncio.wait_for(transactions.send(PURPOSE, _fund(devchain)), 30)
        else:
            outcome = await transactions.outcome(PURPOSE)
        assert outcome is not None
        assert outcome.succeeded
        settled = await transactions.latest(PURPOSE)
        assert outcome.tx_hash in {attempt.tx_hash for attempt in settled.attempts}
        assert await transactions.resume() == ()
    await devchain.mine(3)
    assert await _deposit(devchain) == DEPOSIT
    assert int(await devchain.client.rpc.request("eth_getTransactionCount", SIGNER.address, "latest"), 16) == 1


async def test_resume__mined_while_nobody_looked__is_settled_by_the_receipt(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with _transactions(devchain, tmp_path) as transactions:
        waiting = asyncio.ensure_future(transactions.send("fund", _fund(devchain)))

        async def sent() -> bool:
            return int((await devchain.client.rpc.request("txpool_status"))["pending"], 16) == 1

        await _until(sent)
        waiting.cancel()
    await devchain.mine()
    async with _transactions(devchain, tmp_path, policy=TransactionPolicy(poll_s=60)) as transactions:
        resumed = await transactions.resume()
        outcome = await transactions.outcome("fund")
        assert outcome is not None
        assert outcome.succeeded
        assert [intent.state for intent in resumed] in ([], [IntentState.FINAL])  # its follower may have been quicker


async def test_send__nonce_taken_by_another_user_of_the_key__takes_the_next(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with _transactions(devchain, tmp_path) as transactions, asyncio.TaskGroup() as tasks:
        ours = tasks.create_task(transactions.send("fund", _fund(devchain)))

        async def sent() -> bool:
            return int((await devchain.client.rpc.request("txpool_status"))["pending"], 16) == 1

        await _until(sent)
        (intent,) = await transactions.pending()
        await devchain.client.rpc.request("anvil_dropTransaction", "0x" + intent.attempts[0].tx_hash.hex())
        foreign = await SIGNER.sign_transaction(
            {
                "type": 2,
                "chainId": devchain.info.chain_id,
                "nonce": 0,
                "to": SIGNER.address,
                "value": 0,
                "gas": 21_000,
                "maxFeePerGas": 10**12,
                "maxPriorityFeePerGas": 10**12,
            }
        )
        await devchain.client.rpc.request("eth_sendRawTransaction", "0x" + foreign.hex())
        await _automine(devchain, on=True)
        await devchain.mine()
        outcome = await asyncio.wait_for(ours, 30)
        assert outcome.succeeded
        settled = await transactions.latest("fund")
        assert (settled.nonce, len(settled.attempts)) == (1, 2)
    assert await _deposit(devchain) == ETH


async def test_send__stuck_too_long__is_replaced_with_higher_fees_at_the_same_nonce(devchain, tmp_path):
    await _automine(devchain, on=False)
    policy = TransactionPolicy(poll_s=0.05, replace_after_s=0.2, max_replacements=1)
    async with _transactions(devchain, tmp_path, policy=policy) as transactions, asyncio.TaskGroup() as tasks:
        ours = tasks.create_task(transactions.send("fund", _fund(devchain)))

        async def replaced() -> bool:
            intent = await transactions.latest("fund")
            return intent is not None and len(intent.attempts) == 2

        await _until(replaced)
        first, second = (await transactions.latest("fund")).attempts
        assert first.nonce == second.nonce
        assert second.max_fee * 10 >= first.max_fee * 11
        assert second.tip * 10 >= first.tip * 11
        await asyncio.sleep(0.5)
        assert len((await transactions.latest("fund")).attempts) == 2
        await devchain.mine()
        assert (await asyncio.wait_for(ours, 30)).tx_hash == second.tx_hash
    assert await _deposit(devchain) == ETH
