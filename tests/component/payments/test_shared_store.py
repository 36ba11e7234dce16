"""A database that nodes share: kill -9 of a node, kill -9 of the server, two nodes under one name, a bad server."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from livefleet.chain import DatabaseFailed, DatabaseUnusable, Postgres
from livefleet.kernel import BadInput, Wei
from livefleet.payments import PostgresStore, StoreFailed, TicketState
from livefleet.payments.records import DebitRecord, PruneNonces, Settlement
from tests.builders.payments import GATEWAY, ORCHESTRATOR, OTHER, a_winner
from tests.builders.postgres import a_postgres
from tests.component.payments.shared_payments import NONCES, SESSION, VALUE, a_numbered_payment, a_numbered_winner

pytestmark = pytest.mark.component

ROOT = Path(__file__).parents[3]
ACCOUNT = (GATEWAY, SESSION)


@asynccontextmanager
async def a_store(url, name="fleet/node", *, doubt_s=3.0, **waits):
    async with (
        Postgres(url, tls=None, **waits) as database,
        PostgresStore(database, name=name, doubt_s=doubt_s) as store,
    ):
        yield store


@asynccontextmanager
async def a_paying_child(url, node="fleet/node", first=1):
    """(process, acknowledged payments by number), growing while the block runs; killed at its end."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.component.payments.shared_paying_child", url, node, str(first)),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    told = Counter()
    credited = {}

    async def read():
        async for line in child.stdout:
            word, *rest = line.decode().split()
            if not line.endswith(b"\n"):
                continue  # cut short by the kill
            told[word] += 1
            if word.isdigit():
                credited[int(word)] = Fraction(rest[0])

    reading = asyncio.create_task(read())
    try:
        async with asyncio.timeout(30):
            while not told["open"]:
                await asyncio.sleep(0.01)
        yield credited, told
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
        await child.wait()
        await reading


async def check(url, credited, *, names=("fleet/node",)):
    """All that was acknowledged is there, once, and every payment is there as a whole or not at all."""
    numbers, amount, received = set(), Fraction(0), 0
    for name in names:
        async with a_store(url, name) as store:
            loaded = await store.load()
            assert all(commitment.nonces == set(NONCES) for commitment in loaded.commitments.values()), "half a payment"
            numbers |= {int.from_bytes(key, "big") for key in loaded.commitments}
            amount += loaded.balances[ACCOUNT].amount if ACCOUNT in loaded.balances else 0
            received += store.totals.received.count
            shared = await store.winners_of(ORCHESTRATOR)
            kept = await shared.pending()
            totals = shared.totals
    assert set(credited) <= numbers, "an acknowledged payment is lost"
    assert set(credited.values()) <= {len(NONCES) * VALUE}, "an acknowledged payment was not credited"
    assert amount == len(numbers) * len(NONCES) * VALUE, "credited twice, or never"
    assert received == len(numbers) * len(NONCES)
    winners = {stored.winner for stored in kept}
    assert winners >= {a_numbered_winner(number) for number in credited}, "a winner is lost"
    assert len(kept) == len(winners) == totals.of(TicketState.PENDING).count
    assert totals.of(TicketState.PENDING).value == sum(w.ticket.face_value for w in winners)


async def test_node_killed_at_random_moments__nothing_acknowledged_is_lost(postgres):
    url, credited, dice = postgres.database(), {}, random.Random(5)
    for _ in range(4):
        async with a_paying_child(url, first=max(credited, default=0) + 100) as (now, _):
            while len(now) < 5:
                await asyncio.sleep(0.005)
            await asyncio.sleep(dice.random() * 0.1)
        credited |= now
    assert len(credited) > 50
    await check(url, credited)


async def test_server_killed_under_two_nodes__nothing_acknowledged_is_lost_or_credited_twice():
    with a_postgres() as server:
        url, dice = server.database(), random.Random(7)
        names = ("fleet/one", "fleet/two")
        async with (
            a_paying_child(url, names[0], 1) as (first, told_first),
            a_paying_child(url, names[1], 100_000) as (second, told_second),
        ):
            for _ in range(4):
                before = len(first), len(second)
                async with asyncio.timeout(30):
                    while len(first) < before[0] + 20 or len(second) < before[1] + 20:
                        await asyncio.sleep(0.005)
                await asyncio.sleep(dice.random() * 0.05)
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(server.start)
        assert told_first["refused"], "nobody was refused while the server was away"
        assert told_second["refused"]
        await check(url, first | second, names=names)


async def test_answer_to_a_commit_is_lost__payment_is_told_as_it_is(postgres):
    async with a_store(postgres.database()) as store:
        lose_answers(store, 1)
        assert await store.take(a_numbered_payment(1), lambda _: None) == 2 * VALUE
        assert store.fault == ""
        assert (await store.load()).balances[ACCOUNT].amount == 2 * VALUE
        assert store.totals.received.count == 2


async def test_commit_told_as_failed__payment_may_come_again_and_counts_once(postgres):
    url = postgres.database()
    async with a_store(url, doubt_s=0.0) as store:
        await store.take(a_numbered_payment(1), lambda _: None)
        lose_answers(store, 2)
        payment = store.take(a_numbered_payment(2), lambda _: None)
        store.later(DebitRecord(ACCOUNT, Fraction(5), 9.0))
        with pytest.raises(StoreFailed, match="no answer to a commit"):
            await payment
        with pytest.raises(StoreFailed):
            await store.take(a_numbered_payment(3), lambda _: None)
        assert store.fault
        assert await store.take(a_numbered_payment(2), lambda _: None) == 2 * VALUE
        assert store.totals.received.count == 4
        assert store.fault == ""
    async with a_store(url) as store:
        assert (await store.load()).balances[ACCOUNT].amount == 4 * VALUE - 5
        assert store.totals.received.count == 4
        assert await store.take(a_numbered_payment(3), lambda _: None) == 2 * VALUE
        assert {t.winner for t in await store.pending()} == {a_numbered_winner(n) for n in (1, 2, 3)}


async def test_server_away__payment_is_refused_and_debit_is_written_when_it_is_back():
    with a_postgres() as server:
        async with a_store(server.database()) as store:
            await store.take(a_numbered_payment(1), lambda _: None)
            await asyncio.to_thread(server.kill)
            told = []
            with pytest.raises(StoreFailed, match="not written"):
                await store.take(a_numbered_payment(2), told.append)
            assert told == [None]
            assert "PostgreSQL at 127.0.0.1" in store.fault
            assert server.password not in store.fault
            store.later(DebitRecord(ACCOUNT, Fraction(7), 9.0))
            with pytest.raises(StoreFailed):
                await store.pending()
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(30):
                while store.fault or store.waiting:
                    await asyncio.sleep(0.02)
            assert await store.take(a_numbered_payment(2), lambda _: None) == 2 * VALUE
            assert (await store.load()).balances[ACCOUNT].amount == 4 * VALUE - 7


async def test_server_hangs__payment_is_refused_in_time_and_counts_once_afterwards():
    with a_postgres() as server:
        async with a_store(server.database(), doubt_s=0.5, connect_s=0.5, command_s=0.5) as store:
            await store.take(a_numbered_payment(1), lambda _: None)
            with server.hanging():
                async with asyncio.timeout(10):
                    with pytest.raises(StoreFailed, match="no answer in time"):
                        await store.take(a_numbered_payment(2), lambda _: None)
            async with asyncio.timeout(20):
                while store.fault:
                    await asyncio.sleep(0.05)
            assert await store.take(a_numbered_payment(2), lambda _: None) == 2 * VALUE
            assert (await store.load()).balances[ACCOUNT].amount == 4 * VALUE


async def test_server_comes_back_forgetful__nothing_is_written_until_it_is_mended():
    with a_postgres() as server:
        async with a_store(server.database()) as store:
            await store.take(a_numbered_payment(1), lambda _: None)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start, synchronous_commit="off")
            async with asyncio.timeout(20):
                while "synchronous_commit = off" not in await refusal(store):  # broken connections are noticed first
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(20):
                while store.fault:
                    await asyncio.sleep(0.05)
            assert await store.take(a_numbered_payment(2), lambda _: None) == 2 * VALUE


async def refusal(store):
    with pytest.raises(StoreFailed) as error:
        await store.take(a_numbered_payment(2), lambda _: None)
    return str(error.value)


async def test_server_away_and_nothing_to_write__fault_tells_it_within_seconds():
    with a_postgres() as server:
        async with a_store(server.database()) as store:
            await asyncio.to_thread(server.kill)
            async with asyncio.timeout(15):
                while not store.fault:
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(15):
                while store.fault:
                    await asyncio.sleep(0.05)


async def test_second_agent_under_one_name__first_writes_no_more_and_says_why(postgres):
    url = postgres.database()
    async with a_store(url) as first:
        await first.take(a_numbered_payment(1), lambda _: None)
        async with a_store(url) as second:
            assert (await second.load()).balances[ACCOUNT].amount == 2 * VALUE
            with pytest.raises(StoreFailed, match="another agent has started as fleet/node"):
                await first.take(a_numbered_payment(2), lambda _: None)
            assert await second.take(a_numbered_payment(2), lambda _: None) == 2 * VALUE


async def test_two_nodes__own_nonces_balances_and_secrets_and_one_line_of_winners(postgres):
    url = postgres.database()
    async with a_store(url, "fleet/one") as one, a_store(url, "fleet/two") as two:
        assert await one.secret("recipient") != await two.secret("recipient")
        await one.take(a_numbered_payment(1), lambda _: None)
        assert await two.take(a_numbered_payment(1), lambda _: None) == 2 * VALUE, "params are a node's own"
        await two.take(a_numbered_payment(2), lambda _: None)
        assert len((await one.load()).commitments) == 1
        shared = await one.winners_of(ORCHESTRATOR)
        assert [t.winner for t in await shared.pending()] == [a_numbered_winner(2), a_numbered_winner(1)]
        assert (await one.winners_of(OTHER)).totals.won.count == 0
        assert [t.winner for t in await two.pending()] == [a_numbered_winner(2)]

        await shared.note(a_numbered_winner(2).ticket.hash, "gas is dear")
        assert [t.note for t in await two.pending()] == ["gas is dear"]
        paid = Settlement(a_numbered_winner(2).ticket.hash, TicketState.REDEEMED, "redeemed", paid=Wei(9), at=1.0)
        await shared.settle(paid)
        assert (shared.totals.of(TicketState.REDEEMED).count, shared.totals.paid) == (1, 9)
        async with asyncio.timeout(10):
            while not two.totals.paid:
                await asyncio.sleep(0.02)
        assert two.totals.of(TicketState.REDEEMED).value == a_numbered_winner(2).ticket.face_value
        assert two.totals.of(TicketState.PENDING).count == 0
        assert one.totals.of(TicketState.PENDING).count == 1


async def test_closed_parameters__count_only_where_every_node_with_tickets_closed_them(postgres):
    url = postgres.database()
    async with a_store(url, "fleet/one") as one, a_store(url, "fleet/two") as two:
        await one.take(a_numbered_payment(1), lambda _: None)
        await two.take(a_numbered_payment(2), lambda _: None)
        shared = await one.winners_of(ORCHESTRATOR)
        for store, block in ((one, 150), (two, 120)):
            await shared.pending()
            assert shared.closed_before == 0
            store.later(PruneNonces(block))
            await store.take(a_numbered_payment(9), lambda _: None)
        await shared.pending()
        assert shared.closed_before == 120
        await shared.settle(Settlement(a_numbered_winner(2).ticket.hash, TicketState.LOST, "", at=1.0))
        await shared.settle(Settlement(a_numbered_winner(9).ticket.hash, TicketState.LOST, "", at=1.0))
        await shared.pending()
        assert shared.closed_before == 150


async def test_both_redeem_the_same_tickets__each_is_settled_once(postgres):
    url = postgres.database()
    winners = [a_winner(sender_nonce=n, face_value=Wei(10)) for n in range(20)]
    async with a_store(url, "fleet/one") as one, a_store(url, "fleet/two") as two:
        for number, winner in enumerate(winners):
            await one.take(a_payment_of(number, winner), lambda _: None)
        views = [await store.winners_of(ORCHESTRATOR) for store in (one, two)]
        ends = [
            view.settle(Settlement(w.ticket.hash, TicketState.REDEEMED, "redeemed", paid=Wei(10), at=1.0))
            for view, order in zip(views, (winners, winners[::-1]), strict=True)
            for w in order
        ]
        await asyncio.gather(*ends)
        fresh = await one.winners_of(ORCHESTRATOR)
        assert (fresh.totals.of(TicketState.REDEEMED).count, fresh.totals.paid) == (20, 200)
        assert fresh.totals.of(TicketState.PENDING).count == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"synchronous_commit": "off"}, "synchronous_commit = off.*set it to on"),
        ({"synchronous_commit": "local"}, "synchronous_commit = local"),
        ({"fsync": "off"}, "fsync = off"),
    ],
)
async def test_open__server_that_forgets__is_refused(settings, said):
    with a_postgres(**settings) as server, pytest.raises(DatabaseUnusable, match=said):
        async with Postgres(server.database(), tls=None):
            pass


async def test_open__newer_tables__are_refused(postgres):
    url = postgres.database()
    async with a_store(url):
        pass
    name = url.rpartition("/")[2]
    postgres.sql("UPDATE livefleet.meta SET value = '99' WHERE key = 'version payments'", database=name)
    with pytest.raises(DatabaseUnusable, match="written by a newer livefleet"):
        async with a_store(url):
            pass


async def test_open__wrong_password_or_database_or_nobody__is_said_without_the_password(postgres):
    for url, said in (
        (postgres.url("postgres", password="wrong-horse"), "does not let this user in"),
        (postgres.url("nowhere"), "does not exist; create it"),
        ("postgresql://livefleet:wrong-horse@127.0.0.1:1/db", "not reached"),
    ):
        with pytest.raises(DatabaseFailed, match=said) as error:
            async with Postgres(url, tls=None):
                pass
        assert "wrong-horse" not in str(error.value)
        assert postgres.password not in str(error.value)


@pytest.mark.parametrize(
    "url",
    ["", "mysql://a/b", "postgresql://host", "postgresql://u:hunter2@host:port/db", "postgresql://u:1/hunter2@host/db"],
)
def test_url__that_is_none__is_bad_input_without_the_password(url):
    with pytest.raises(BadInput, match="postgresql://user:password@host:port/database") as error:
        Postgres(url, tls=None)
    assert "hunter2" not in str(error.value)


async def test_many_agents_start_at_once__tables_are_made_once(postgres):
    url = postgres.database()

    async def start(number):
        async with a_store(url, f"fleet/{number}") as store:
            await store.bind(1337)
            return await store.take(a_numbered_payment(number), lambda _: None)

    assert await asyncio.gather(*(start(number) for number in range(6))) == [2 * VALUE] * 6


def a_payment_of(number, winner):
    return replace(a_numbered_payment(number), winners=(winner,))


def lose_answers(store, number):
    """The next commits happen, and their answers never arrive."""
    left = [number]
    connection = store._database.connection

    @asynccontextmanager
    async def losing():
        async with connection() as real:
            yield LosingConnection(real, left)

    store._database.connection = losing


class LosingConnection:
    def __init__(self, real, left):
        self._real, self._left = real, left

    def __getattr__(self, name):
        return getattr(self._real, name)

    def transaction(self, **options):
        real, left = self._real.transaction(**options), self._left

        class Losing:
            start, rollback, __aenter__, __aexit__ = real.start, real.rollback, real.__aenter__, real.__aexit__

            async def commit(self):
                await real.commit()
                if left[0]:
                    left[0] -= 1
                    raise ConnectionResetError("the line is cut")

        return Losing()
