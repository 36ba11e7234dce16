"""What survives: restarts, kill -9, a full disk, a second reader."""

import asyncio
import os
import signal
import sqlite3
import stat
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from livefleet.kernel import BlockNumber, Refused, SessionId
from livefleet.payments import SqliteStore, StoreFailed, StoreUnusable, TicketState, read_tickets
from livefleet.spec import TicketSettings
from tests.builders.payments import GATEWAY, a_desk, find_winner, pay

pytestmark = pytest.mark.component

SESSION = SessionId("aabbccdd")
EVEN_ODDS = TicketSettings(expected_value=6 * 10**15)
ROOT = Path(__file__).parents[3]


async def test_restart__quote_made_before__is_still_good(tmp_path):
    async with a_desk(tmp_path / "s", seed=b"first") as (payments, store, _, _):
        quote = await payments.quote(GATEWAY)
        auth = await store.secret("auth-token")
    async with a_desk(tmp_path / "s", seed=b"second") as (payments, store, _, _):
        await payments.receive(pay(quote, [1]), SESSION)
        assert await store.secret("auth-token") == auth


async def test_restart__credit_price_and_nonces__are_remembered(tmp_path):
    async with a_desk(tmp_path / "s") as (payments, _, _, _):
        payment = pay(await payments.quote(GATEWAY), [1, 2])
        await payments.receive(payment, SESSION)
        payments.debit(payment, SESSION, 1000)
        credit = payments._balances.amount((GATEWAY, SESSION))
    async with a_desk(tmp_path / "s") as (payments, _, _, _):
        assert payments._balances.amount((GATEWAY, SESSION)) == credit
        assert payments._balances.fixed_price((GATEWAY, SESSION)) == 1200
        with pytest.raises(Refused, match="already seen"):
            await payments.receive(payment, SESSION)
        assert payments.snapshot().received.count == 2


async def test_killed_between_payment_and_redemption__winner_is_kept_and_credited_once(tmp_path):
    path = tmp_path / "store.sqlite3"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("paying_child.py")),
        str(path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        async with asyncio.timeout(60):
            line = await child.stdout.readline()
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()
    nonce, seed, rand_hash = line.decode().split()

    async with a_desk(path, ticket=EVEN_ODDS) as (payments, store, _, _):
        (kept,) = await store.pending()
        ticket = kept.winner.ticket
        assert ticket.sender_nonce == int(nonce)
        assert ticket.recipient_rand_hash.hex() == rand_hash
        assert ticket.is_signed(kept.winner.signature)
        assert ticket.is_winning(kept.winner.signature, kept.winner.recipient_rand)
        snapshot = payments.snapshot()
        assert (snapshot.received.count, snapshot.won.count, snapshot.pending.count) == (1, 1, 1)
        assert snapshot.credit == ticket.expected_value
    assert int(seed) > 0


async def test_open_twice__reader_sees_winners_while_the_agent_writes(tmp_path):
    path = tmp_path / "s"
    async with a_desk(path, ticket=EVEN_ODDS) as (payments, store, _, _):
        quote, nonce = await find_winner(payments, SESSION)
        await payments.receive(pay(quote, [nonce]), SESSION)

        (seen,) = read_tickets(path)
        assert seen == (await store.pending())[0]
        assert read_tickets(path, states=[TicketState.REDEEMED]) == []
        async with SqliteStore(path) as second:
            assert await second.pending() == [seen]
            assert await second.secret("auth-token") == await store.secret("auth-token")


async def test_store_fails__payment_is_refused_and_may_come_again(tmp_path):
    path = tmp_path / "s"
    async with a_desk(path) as (payments, store, _, _):
        payment = pay(await payments.quote(GATEWAY), [1])
        await asyncio.to_thread(run_sql, path, "ALTER TABLE nonces RENAME TO gone")
        with pytest.raises(StoreFailed):
            await payments.receive(payment, SESSION)
        assert "no such table" in payments.snapshot().store_fault
        assert payments._balances.amount((GATEWAY, SESSION)) is None

        await asyncio.to_thread(run_sql, path, "ALTER TABLE gone RENAME TO nonces")
        await payments.receive(payment, SESSION)
        assert payments.snapshot().received.count == 1
        assert store.fault == ""


async def test_store_fails__debit_is_written_when_it_works_again(tmp_path):
    path = tmp_path / "s"
    async with a_desk(path) as (payments, store, _, _):
        payment = pay(await payments.quote(GATEWAY), [1])
        await payments.receive(payment, SESSION)
        await asyncio.to_thread(run_sql, path, "ALTER TABLE balances RENAME TO gone")
        payments.debit(payment, SESSION, 100)
        async with asyncio.timeout(30):
            while not store.fault:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(run_sql, path, "ALTER TABLE gone RENAME TO balances")
        async with asyncio.timeout(30):
            while store.fault:
                await asyncio.sleep(0.01)
        credit = payments._balances.amount((GATEWAY, SESSION))
    loaded = await load(path)
    assert loaded.balances[GATEWAY, SESSION].amount == credit


async def test_concurrent_payments__share_commits(tmp_path):
    async with a_desk(tmp_path / "s") as (payments, store, _, _):
        commits = []
        commit = store._file.commit
        store._file.commit = lambda writes: commits.append(len(writes)) or commit(writes)
        quotes = [await payments.quote(GATEWAY) for _ in range(20)]

        await asyncio.gather(*(payments.receive(pay(q, [1]), SessionId(str(i))) for i, q in enumerate(quotes)))

        assert sum(commits) == 20
        assert len(commits) < 20


async def test_prune__long_expired_parameters__leave_the_file(tmp_path):
    path = tmp_path / "s"
    async with a_desk(path) as (payments, _, chain, _):
        await payments.receive(pay(await payments.quote(GATEWAY), [1, 2]), SESSION)
        chain.move(l1_block=BlockNumber(21_000_400))
        payments.clean()
    assert (await load(path)).commitments == {}


async def test_file__holds_secrets__is_for_its_owner_only(tmp_path):
    path = tmp_path / "s"
    async with SqliteStore(path):
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_open__newer_version__is_refused(tmp_path):
    path = tmp_path / "s"
    async with SqliteStore(path):
        pass
    run_sql(path, "UPDATE payments_meta SET value = '99' WHERE key = 'version'")
    with pytest.raises(StoreUnusable, match="newer livefleet"):
        async with SqliteStore(path):
            pass


async def test_open__not_a_database__is_refused(tmp_path):
    path = tmp_path / "s"
    path.write_text("tickets, honestly\n" * 100)
    with pytest.raises(StoreUnusable):
        async with SqliteStore(path):
            pass


async def test_bind__other_chain__is_refused(tmp_path):
    async with SqliteStore(tmp_path / "s") as store:
        await store.bind(42161)
        await store.bind(42161)
        with pytest.raises(StoreUnusable, match="chain 42161"):
            await store.bind(1)


async def test_exit__work_failed__queued_debits_are_written_all_the_same(tmp_path):
    path = tmp_path / "s"
    with pytest.raises(RuntimeError):  # noqa: PT012 -- what fails is the body
        async with a_desk(path) as (payments, _, _, _):
            payments.debit(pay(await payments.quote(GATEWAY), [1]), SESSION, 1)
            raise RuntimeError
    assert (await load(path)).balances[GATEWAY, SESSION].amount == Fraction(-1200)


async def load(path):
    async with SqliteStore(path) as store:
        return await store.load()


def run_sql(path, statement):
    db = sqlite3.connect(path, timeout=30)
    db.execute(statement)
    db.commit()
    db.close()
