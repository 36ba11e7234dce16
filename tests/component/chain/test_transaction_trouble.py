"""What a transaction may meet on its way: dear gas, lost blocks, forgetful nodes, other users of the key."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from livefleet.chain import (
    FeeTooHigh,
    IntentState,
    NotMinedYet,
    Reverted,
    Rpc,
    SpendLimit,
    TransactionPolicy,
    Transactions,
)
from livefleet.kernel import Status, Wei
from tests.builders.unruly_rpc import an_unruly_rpc
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

SIGNER, ORCHESTRATOR = dev_signer(4), dev_signer(1)
ETH, GWEI = 10**18, 10**9


@asynccontextmanager
async def a_sender(devchain, tmp_path, *, signer=SIGNER, rpc=None, report=None, **policy):
    settings = TransactionPolicy(**({"poll_s": 0.05} | policy))
    path = tmp_path / "transactions.sqlite3"
    async with Transactions(
        rpc or devchain.client.rpc, signer, path, chain_id=devchain.info.chain_id, policy=settings, report=report
    ) as transactions:
        yield transactions


def _fund(devchain, amount=ETH):
    return devchain.client.broker.fund_call(Wei(amount), Wei(0))


async def _rpc(devchain, method, *params):
    return await devchain.client.rpc.request(method, *params)


async def _automine(devchain, *, on: bool) -> None:
    await _rpc(devchain, "evm_setAutomine", on)


async def _base_fee(devchain, wei: int) -> None:
    """From the next block on, which is mined."""
    await _rpc(devchain, "anvil_setNextBlockBaseFeePerGas", hex(wei))
    await devchain.mine()


async def _deposit(devchain) -> int:
    return (await devchain.client.broker.sender_info(SIGNER.address, SIGNER.address)).deposit


async def _nonce(devchain, signer=SIGNER) -> int:
    return int(await _rpc(devchain, "eth_getTransactionCount", signer.address, "latest"), 16)


async def _until(predicate) -> None:
    async with asyncio.timeout(30):
        while not await predicate():
            await asyncio.sleep(0.02)


async def _in_pool(devchain, number: int) -> None:
    async def there() -> bool:
        status = await _rpc(devchain, "txpool_status")
        return int(status["pending"], 16) + int(status["queued"], 16) == number

    await _until(there)


async def _foreign(devchain, nonce: int, *, max_fee=10**12) -> None:
    """Another wallet uses the key."""
    raw = await SIGNER.sign_transaction(
        {
            "type": 2,
            "chainId": devchain.info.chain_id,
            "nonce": nonce,
            "to": SIGNER.address,
            "value": 0,
            "gas": 21_000,
            "maxFeePerGas": max_fee,
            "maxPriorityFeePerGas": max_fee,
        }
    )
    await _rpc(devchain, "eth_sendRawTransaction", "0x" + raw.hex())


async def test_limit__cost_of_the_whole_transaction__counts_before_anything_is_recorded(devchain, tmp_path):
    async with a_sender(devchain, tmp_path) as transactions:
        with pytest.raises(FeeTooHigh):
            await transactions.send("fund", _fund(devchain), limit=SpendLimit(max_cost=Wei(10**10)))
        assert await transactions.latest("fund") is None
        most = Wei(10**14)
        outcome = await transactions.send("fund", _fund(devchain), limit=SpendLimit(max_cost=most))
        (attempt,) = (await transactions.latest("fund")).attempts
        assert attempt.gas * attempt.max_fee <= most
        assert outcome.gas_used * outcome.effective_gas_price <= most


async def test_send__gas_given__spares_the_estimate_and_is_used(devchain, tmp_path):
    async with (
        an_unruly_rpc(devchain.info.rpc) as endpoint,
        Rpc([endpoint.url]) as rpc,
        a_sender(devchain, tmp_path, rpc=rpc) as transactions,
    ):
        await transactions.send("fund", _fund(devchain), gas=333_333)
        assert (await transactions.latest("fund")).attempts[0].gas == 333_333
        assert endpoint.methods["eth_estimateGas"] == 0
        await transactions.send("fund more", _fund(devchain))
        assert endpoint.methods["eth_estimateGas"] == 1


async def test_send__patience_ends_before_a_block__is_followed_further_and_joined_later(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with a_sender(devchain, tmp_path) as transactions:
        with pytest.raises(NotMinedYet, match="no block has taken it yet"):
            await transactions.send("fund", _fund(devchain), wait_s=0.1)
        joined = asyncio.ensure_future(transactions.send("fund", _fund(devchain)))
        await _in_pool(devchain, 1)
        await devchain.mine()
        assert (await asyncio.wait_for(joined, 30)).succeeded
    assert await _nonce(devchain) == 1


async def test_replacement__needs_more_gas_by_now__has_it(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with a_sender(devchain, tmp_path, replace_after_s=0.2, max_replacements=1) as transactions:
        waiting = asyncio.ensure_future(transactions.send("fund", _fund(devchain), gas=25_000))  # too little

        async def replaced() -> bool:
            intent = await transactions.latest("fund")
            return intent is not None and len(intent.attempts) == 2

        await _until(replaced)
        await devchain.mine()
        assert (await asyncio.wait_for(waiting, 30)).succeeded


async def test_pool__holds_a_dearer_one_of_another_wallet__ours_gives_way_and_comes_after_it(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with a_sender(devchain, tmp_path, max_replacements=2) as transactions:
        ours = asyncio.ensure_future(transactions.send("fund", _fund(devchain)))
        await _in_pool(devchain, 1)
        await _foreign(devchain, 0)  # takes the place of ours; the node calls ours underpriced from now on

        async def tried() -> bool:
            intent = await transactions.latest("fund")
            return len(intent.attempts) == 3

        await _until(tried)
        await devchain.mine()
        await _automine(devchain, on=True)
        await devchain.mine()
        assert (await asyncio.wait_for(ours, 30)).succeeded
        assert (await transactions.latest("fund")).nonce == 1
    assert await _deposit(devchain) == ETH


async def test_price__passes_the_limit_while_it_waits__says_so_and_goes_on_when_it_falls(devchain, tmp_path):
    await _automine(devchain, on=False)
    limit, told_of = SpendLimit(Wei(3 * GWEI)), []
    async with a_sender(devchain, tmp_path, replace_after_s=0.1, report=told_of.append) as transactions:
        waiting = asyncio.ensure_future(transactions.send("fund", _fund(devchain), limit=limit))
        await _in_pool(devchain, 1)
        await _rpc(devchain, "anvil_dropAllTransactions")
        await _base_fee(devchain, 80 * GWEI)

        async def told() -> bool:
            return any("above the" in waiting.because for waiting in transactions.waiting)

        await _until(told)
        assert not waiting.done()
        assert (told_of[-1].name, told_of[-1].status, told_of[-1].subject) == (
            "TransactionsMove",
            Status.FALSE,
            SIGNER.address,
        )
        assert "no more than 3000000000 may be paid" in told_of[-1].message
        intent = await transactions.latest("fund")
        assert max(attempt.max_fee for attempt in intent.attempts) <= 3 * GWEI
        await _base_fee(devchain, GWEI // 100)
        await _automine(devchain, on=True)
        await _rpc(devchain, "anvil_mine", "0x1")
        assert (await asyncio.wait_for(waiting, 30)).succeeded
        assert all(a.max_fee <= 3 * GWEI for a in (await transactions.latest("fund")).attempts)

        async def moves() -> bool:
            return told_of[-1].status is Status.TRUE

        await _until(moves)
    assert await _deposit(devchain) == ETH


async def test_send__joined_with_a_looser_limit__is_raised_to_it_at_once(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with a_sender(devchain, tmp_path) as transactions:
        first = asyncio.ensure_future(transactions.send("fund", _fund(devchain), limit=SpendLimit(Wei(3 * GWEI))))
        await _in_pool(devchain, 1)
        await _rpc(devchain, "anvil_dropAllTransactions")
        await _base_fee(devchain, 80 * GWEI)
        second = asyncio.ensure_future(transactions.send("fund", _fund(devchain), limit=SpendLimit(Wei(200 * GWEI))))

        async def raised() -> bool:
            return (await transactions.latest("fund")).attempts[-1].max_fee > 70 * GWEI

        await _until(raised)
        await _automine(devchain, on=True)
        await devchain.mine()
        assert await asyncio.wait_for(first, 30) == await asyncio.wait_for(second, 30)
    assert await _nonce(devchain) == 1


async def test_reorg__mined_block_is_taken_back__is_sent_again_as_it_was_and_settles_when_deep(devchain, tmp_path):
    await devchain.mine(5)
    async with a_sender(devchain, tmp_path, confirmations=3) as transactions:
        outcome = await transactions.send("fund", _fund(devchain))  # told at the first receipt
        assert (await transactions.latest("fund")).state is IntentState.MINED
        assert await transactions.settled(0) == ()
        assert await transactions.send("fund", _fund(devchain)) == outcome  # joined: not sent twice
        await _automine(devchain, on=False)
        await _rpc(devchain, "anvil_reorg", 1, [])
        await _rpc(devchain, "anvil_dropAllTransactions")
        assert await _deposit(devchain) == 0

        async def sent_again() -> bool:
            return (await transactions.latest("fund")).state is IntentState.PENDING

        await _until(sent_again)
        await _in_pool(devchain, 1)
        await _automine(devchain, on=True)
        await devchain.mine()

        async def mined_again() -> bool:
            return (await transactions.latest("fund")).state is IntentState.MINED

        await _until(mined_again)
        await devchain.mine(3)

        async def final() -> bool:
            return (await transactions.latest("fund")).state is IntentState.FINAL

        await _until(final)
        (settled,) = await transactions.settled(0)
        assert settled.outcome.tx_hash == outcome.tx_hash
    assert await _deposit(devchain) == ETH


async def test_pool__forgotten_by_the_node__is_offered_again_in_order(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with a_sender(devchain, tmp_path) as transactions:
        sends = [asyncio.ensure_future(transactions.send(f"fund {n}", _fund(devchain, ETH + n))) for n in range(3)]
        await _in_pool(devchain, 3)
        await _rpc(devchain, "anvil_dropAllTransactions")
        await _in_pool(devchain, 3)
        await devchain.mine()
        assert all(outcome.succeeded for outcome in await asyncio.wait_for(asyncio.gather(*sends), 30))
        attempts = [len((await transactions.latest(f"fund {n}")).attempts) for n in range(3)]
        assert attempts == [1, 1, 1]
    assert await _nonce(devchain) == 3


async def test_nonces__several_taken_by_another_wallet__each_takes_a_new_one(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with a_sender(devchain, tmp_path, poll_s=0.2) as transactions:
        sends = [asyncio.ensure_future(transactions.send(f"fund {n}", _fund(devchain, ETH + n))) for n in range(3)]
        await _in_pool(devchain, 3)
        await _rpc(devchain, "anvil_dropAllTransactions")
        for nonce in range(2):
            await _foreign(devchain, nonce)
        await devchain.mine()
        await _automine(devchain, on=True)
        await devchain.mine()
        outcomes = await asyncio.wait_for(asyncio.gather(*sends), 60)
        assert all(outcome.succeeded for outcome in outcomes)
        nonces = sorted([(await transactions.latest(f"fund {n}")).nonce for n in range(3)])
        assert nonces == [2, 3, 4]
    assert await _deposit(devchain) == 3 * ETH + 3


async def test_gap__transaction_of_another_wallet_was_dropped__is_filled_so_that_ours_is_mined(devchain, tmp_path):
    await _automine(devchain, on=False)
    await _foreign(devchain, 0, max_fee=10**11)
    async with a_sender(devchain, tmp_path, replace_after_s=0.3) as transactions:
        ours = asyncio.ensure_future(transactions.send("fund", _fund(devchain)))
        await _in_pool(devchain, 2)
        assert [intent.nonce for intent in await transactions.pending()] == [1]
        await _rpc(devchain, "anvil_dropAllTransactions")  # the other wallet does not send its own again

        async def filled() -> bool:
            return [intent.nonce for intent in await transactions.pending()] == [0, 1]

        await _until(filled)
        await _automine(devchain, on=True)
        await devchain.mine()
        assert (await asyncio.wait_for(ours, 30)).succeeded
        filler = await transactions.latest("fill nonce 0")
        assert filler is not None
        assert filler.outcome.gas_used == 21_000
    assert await _nonce(devchain) == 2


async def test_stuck__call_that_would_revert_by_now__is_cancelled_for_less_gas(devchain, tmp_path):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.set_reward_caller_call(SIGNER.address))
    zero = "0x" + "00" * 20
    async with (
        an_unruly_rpc(devchain.info.rpc) as endpoint,
        Rpc([endpoint.url]) as rpc,
        a_sender(devchain, tmp_path, rpc=rpc, replace_after_s=0.5) as transactions,
    ):
        await _automine(devchain, on=False)
        call = devchain.client.bonding.reward_for_call(ORCHESTRATOR.address, zero, zero)
        stuck = asyncio.ensure_future(transactions.send("reward", call))
        await _in_pool(devchain, 1)
        await endpoint.become(garbage=True, only=("eth_sendRawTransaction",))  # until somebody else was first
        await _rpc(devchain, "anvil_dropAllTransactions")
        await _automine(devchain, on=True)
        await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.reward_call(zero, zero))
        await _automine(devchain, on=False)
        await endpoint.behave()

        async def cancelled() -> bool:
            intent = await transactions.latest("reward")
            return intent.attempts[-1].cancels or not intent.is_live

        await _until(cancelled)
        await _automine(devchain, on=True)
        await devchain.mine()
        with pytest.raises(Reverted, match="already called reward"):
            await asyncio.wait_for(stuck, 30)
        (settled,) = await transactions.settled(0)
        assert settled.state is IntentState.ABANDONED
        assert settled.abandoned_because == "caller has already called reward for the current round"
        assert settled.outcome.gas_used == 21_000


async def test_line__first_is_stuck__is_raised_alone_and_those_behind_go_through_as_they_were(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with a_sender(devchain, tmp_path, replace_after_s=0.4, max_replacements=2) as transactions:
        sends = [asyncio.ensure_future(transactions.send(f"fund {n}", _fund(devchain, ETH + n))) for n in range(3)]

        async def raised() -> bool:
            first = await transactions.latest("fund 0")
            return first is not None and len(first.attempts) == 3

        await _until(raised)
        assert [len((await transactions.latest(f"fund {n}")).attempts) for n in range(3)] == [3, 1, 1]
        await devchain.mine()
        assert all(outcome.succeeded for outcome in await asyncio.wait_for(asyncio.gather(*sends), 30))


async def test_endpoints__all_away_in_the_middle__the_wait_goes_on_and_ends_well(devchain, tmp_path):
    await _automine(devchain, on=False)
    async with (
        an_unruly_rpc(devchain.info.rpc) as endpoint,
        Rpc([endpoint.url]) as rpc,
        a_sender(devchain, tmp_path, rpc=rpc) as transactions,
    ):
        waiting = asyncio.ensure_future(transactions.send("fund", _fund(devchain)))
        await _in_pool(devchain, 1)
        await endpoint.become(cuts=True)
        await _rpc(devchain, "anvil_dropAllTransactions")

        async def noticed() -> bool:
            return transactions.last_error is not None

        await _until(noticed)
        assert not waiting.done()
        await endpoint.behave()
        await _in_pool(devchain, 1)
        await devchain.mine()
        assert (await asyncio.wait_for(waiting, 60)).succeeded
        assert len((await transactions.latest("fund")).attempts) == 1
    assert await _nonce(devchain) == 1


async def test_answer_lost__the_node_took_it_and_nobody_heard__is_not_sent_twice(devchain, tmp_path):
    async with (
        an_unruly_rpc(devchain.info.rpc) as endpoint,
        Rpc([endpoint.url]) as rpc,
        a_sender(devchain, tmp_path, rpc=rpc) as transactions,
    ):
        await endpoint.become(loses_answers=True, only=("eth_sendRawTransaction",))
        assert (await asyncio.wait_for(transactions.send("fund", _fund(devchain)), 60)).succeeded
    assert await _deposit(devchain) == ETH
    assert await _nonce(devchain) == 1
