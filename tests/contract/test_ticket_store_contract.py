"""What payments rely on their store for: SQLite and PostgreSQL under one test."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livefleet.chain import DatabaseUnusable, Postgres
from livefleet.kernel import SessionId, Wei
from livefleet.payments import PostgresStore, SqliteStore, StoreUnusable, TicketState
from livefleet.payments.records import (
    DebitRecord,
    ForgetBalances,
    ForgetTickets,
    LostTicket,
    PaymentRecord,
    PruneNonces,
    Settlement,
)
from tests.builders.payments import GATEWAY, ORCHESTRATOR, OTHER, a_winner, token_bytes

pytestmark = pytest.mark.contract

SESSION = SessionId("aabbccdd")
ACCOUNT = (GATEWAY, SESSION)
ODD = Fraction(10**20, 3)


class Lives:
    """One store, opened again and again, as by one node after another restart."""

    def __init__(self, kind, folder, server):
        self.kind = kind
        self._path = folder / "store"
        self._url = server.database() if kind == "postgresql" else None

    @asynccontextmanager
    async def open(self, seed=b"test-only"):
        if self.kind == "sqlite":
            async with SqliteStore(self._path, token_bytes=token_bytes(seed)) as store:
                yield store
        else:
            async with (
                Postgres(self._url, tls=None) as database,
                PostgresStore(database, name="fleet/node", token_bytes=token_bytes(seed)) as store,
            ):
                yield store


@pytest.fixture(params=["sqlite", "postgresql"])
def lives(request, tmp_path):
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return Lives(request.param, tmp_path, server)


def a_payment(*nonces, **fields):
    return replace(
        PaymentRecord(
            account=ACCOUNT,
            recipient_rand_hash=b"\x01" * 32,
            expiration_block=100,
            nonces=nonces,
            ticket_value=ODD,
            winners=(),
            fixed_price=None,
            at=5.0,
        ),
        **fields,
    )


async def take(store, payment):
    told = []
    credit = await store.take(payment, told.append)
    assert told == [credit]
    return credit


async def written(store):
    """After what was given `later`: writes take effect in order."""
    await take(store, a_payment())


async def test_payment__every_nonce_is_credited_once(lives):
    async with lives.open() as store:
        assert await take(store, a_payment(1, 2)) == 2 * ODD
        assert await take(store, a_payment(2, 3)) == ODD
        assert await take(store, a_payment(1, recipient_rand_hash=b"\x02" * 32)) == ODD
        assert (store.totals.received.count, store.totals.received.value) == (4, 4 * ODD)
    async with lives.open() as store:
        assert await take(store, a_payment(1, 2, 3)) == 0
        assert (store.totals.received.count, store.totals.received.value) == (4, 4 * ODD)


async def test_payments_at_once__the_same_nonce__is_credited_to_the_first(lives):
    async with lives.open() as store:
        futures = [store.take(a_payment(7), lambda _: None) for _ in range(5)]
        assert await asyncio.gather(*futures) == [ODD, 0, 0, 0, 0]


async def test_restart__balances_prices_nonces_and_secret_are_there(lives):
    other = (OTHER, SessionId("b"))
    async with lives.open(seed=b"first") as store:
        secret = await store.secret("recipient")
        assert await store.secret("auth-token") != secret
        await take(store, a_payment(1, 2, fixed_price=Fraction(7, 3)))
        await take(store, a_payment(3, fixed_price=Fraction(9), at=6.5))
        await take(store, a_payment(1, account=other, recipient_rand_hash=b"\x02" * 32, expiration_block=40))
        store.later(DebitRecord(ACCOUNT, Fraction(1, 7), 8.0))
    async with lives.open(seed=b"second") as store:
        assert await store.secret("recipient") == secret
        loaded = await store.load()
        mine, theirs = loaded.balances[ACCOUNT], loaded.balances[other]
        assert (mine.amount, mine.fixed_price, mine.touched) == (3 * ODD - Fraction(1, 7), Fraction(7, 3), 8.0)
        assert (theirs.amount, theirs.fixed_price) == (ODD, None)
        commitment = loaded.commitments[b"\x01" * 32]
        assert (commitment.sender, commitment.expiration_block, commitment.nonces) == (GATEWAY, 100, {1, 2, 3})
        assert loaded.commitments[b"\x02" * 32].sender == OTHER
        assert loaded.floor == 0


@pytest.mark.parametrize("session", ["", "a\x00b", "ü" * 300, "'; DROP TABLE tickets; --"])
async def test_session__whatever_a_gateway_calls_it__is_kept(lives, session):
    account = (GATEWAY, SessionId(session))
    async with lives.open() as store:
        await take(store, a_payment(1, account=account, winners=(a_winner(),)))
        assert [ticket.session for ticket in await store.pending()] == [session]
        store.later(DebitRecord(account, ODD, 1.0))
    async with lives.open() as store:
        assert (await store.load()).balances[account].amount == 0
        store.later(ForgetBalances((account,)))
        await written(store)
        assert (await store.load()).balances == {}


async def test_prune__forgets_nonces_below_the_block_and_remembers_the_block(lives):
    async with lives.open() as store:
        await take(store, a_payment(1))
        await take(store, a_payment(1, recipient_rand_hash=b"\x02" * 32, expiration_block=101))
        store.later(PruneNonces(101))
        store.later(PruneNonces(50))
        await written(store)
        loaded = await store.load()
        assert list(loaded.commitments) == [b"\x02" * 32]
        assert loaded.floor == 101
        assert await take(store, a_payment(1)) == ODD, "what is forgotten is not known any more"


async def test_writes__take_effect_in_the_order_given(lives):
    async with lives.open() as store:
        first = store.take(a_payment(1), lambda _: None)
        store.later(ForgetBalances((ACCOUNT,)))
        store.later(DebitRecord(ACCOUNT, Fraction(5), 2.0))
        store.later(PruneNonces(1000))
        again = store.take(a_payment(1), lambda _: None)
        assert await asyncio.gather(first, again) == [ODD, ODD]
        assert (await store.load()).balances[ACCOUNT].amount == ODD - 5


async def test_winner__is_kept_once_and_waits_in_order(lives):
    early = a_winner(sender_nonce=1, face_value=Wei(2**200), expiration_block=10)
    cheap = a_winner(sender_nonce=2, face_value=Wei(1), expiration_block=20)
    dear = a_winner(sender_nonce=3, face_value=Wei(2), expiration_block=20)
    async with lives.open() as store:
        await take(store, a_payment(1, winners=(cheap, dear)))
        await take(store, a_payment(2, winners=(early, dear), at=6.0))
        pending = await store.pending()
        assert [ticket.winner for ticket in pending] == [early, dear, cheap]
        assert (pending[0].received_at, pending[1].received_at, pending[0].session) == (6.0, 5.0, SESSION)
        assert store.totals.of(TicketState.PENDING) == store.totals.won
        assert (store.totals.won.count, store.totals.won.value) == (3, 2**200 + 3)
    async with lives.open() as store:
        assert [ticket.winner for ticket in await store.pending()] == [early, dear, cheap]
        assert store.totals.won.value == 2**200 + 3


async def test_settle__ends_a_ticket_once(lives):
    winner, other = a_winner(sender_nonce=1, face_value=Wei(100)), a_winner(sender_nonce=2, face_value=Wei(30))
    ticket_hash = winner.ticket.hash
    async with lives.open() as store:
        await take(store, a_payment(1, winners=(winner, other)))
        await store.note(ticket_hash, "gas is dear")
        assert {t.note for t in await store.pending()} == {"gas is dear", ""}
        await store.settle(
            Settlement(ticket_hash, TicketState.REDEEMED, "redeemed", tx_hash=b"\x05" * 32, paid=Wei(90), at=7.0)
        )
        await store.settle(Settlement(ticket_hash, TicketState.LOST, "again", at=8.0))
        await store.settle(Settlement(b"\x09" * 32, TicketState.LOST, "never seen", at=8.0))
        assert await take(store, a_payment(3, winners=(winner,))) == ODD, "its ticket is known"
        await store.settle(Settlement(other.ticket.hash, TicketState.LOST, "expired", at=9.0))
        assert await store.pending() == []
    async with lives.open() as store:
        totals = store.totals
        assert (totals.of(TicketState.REDEEMED).count, totals.of(TicketState.REDEEMED).value) == (1, 100)
        assert (totals.of(TicketState.LOST).count, totals.of(TicketState.LOST).value) == (1, 30)
        assert totals.of(TicketState.PENDING).count == 0
        assert totals.paid == 90


async def test_lost__lately__are_told_with_time_sender_worth_and_why_the_newest_of_them(lives):
    others = ACCOUNT[0], OTHER
    winners = [a_winner(sender_nonce=n, face_value=Wei(10**18 + n), sender=others[n % 2]) for n in range(5)]
    async with lives.open() as store:
        await take(store, a_payment(1, winners=tuple(winners)))
        assert await store.lost(0.0, 10) == []
        for at, winner in ((30.5, winners[2]), (10.0, winners[0]), (20.0, winners[1])):
            await store.settle(Settlement(winner.ticket.hash, TicketState.LOST, f"why {at}; it waited: gas", at=at))
        await store.settle(Settlement(winners[3].ticket.hash, TicketState.REDEEMED, "redeemed", paid=Wei(1), at=25.0))
    async with lives.open() as store:
        told = await store.lost(20.0, 10)
        assert told == [
            LostTicket(20.0, OTHER, Wei(10**18 + 1), "why 20.0; it waited: gas"),
            LostTicket(30.5, GATEWAY, Wei(10**18 + 2), "why 30.5; it waited: gas"),
        ]
        assert await store.lost(0.0, 2) == told
        assert await store.lost(31.0, 2) == []


async def test_forget_tickets__ended_long_ago__sums_stay(lives):
    old, young, waits = (a_winner(sender_nonce=n, face_value=Wei(10**n)) for n in range(3))
    async with lives.open() as store:
        await take(store, a_payment(1, winners=(old, young, waits)))
        await store.settle(Settlement(old.ticket.hash, TicketState.REDEEMED, "", paid=Wei(1), at=10.0))
        await store.settle(Settlement(young.ticket.hash, TicketState.LOST, "", at=20.0))
        store.later(ForgetTickets(15.0))
        await written(store)
        before = store.totals
        assert await take(store, a_payment(9, winners=(young,))) == ODD
        assert store.totals.won == before.won, "the young one is still known"
    async with lives.open() as store:
        assert store.totals.by_state == before.by_state
        assert store.totals.paid == 1
        assert [t.winner for t in await store.pending()] == [waits]


async def test_bind__other_chain__is_refused_with_both_ids(lives):
    async with lives.open() as store:
        await store.bind(42161)
        await store.bind(42161)
    async with lives.open() as store:
        with pytest.raises((StoreUnusable, DatabaseUnusable), match=r"chain 42161.*chain 1;"):
            await store.bind(1)


async def test_leave__queued_debits_are_written(lives):
    async with lives.open() as store:
        for number in range(50):
            store.later(DebitRecord(ACCOUNT, Fraction(1), float(number)))
    async with lives.open() as store:
        assert (await store.load()).balances[ACCOUNT].amount == -50


accounts = st.sampled_from([ACCOUNT, (GATEWAY, SessionId("b")), (OTHER, SESSION)])
writes = st.one_of(
    st.builds(
        a_payment,
        st.integers(0, 3),
        st.integers(4, 6),
        account=accounts,
        recipient_rand_hash=st.sampled_from([b"\x01" * 32, b"\x02" * 32]),
        fixed_price=st.sampled_from([None, Fraction(3), Fraction(5, 2)]),
        ticket_value=st.fractions(0, 10**6),
        winners=st.lists(st.integers(1, 4).map(lambda n: a_winner(sender_nonce=n)), max_size=2).map(tuple),
    ),
    st.builds(DebitRecord, accounts, st.fractions(0, 10**6), st.just(2.0)),
    st.builds(ForgetBalances, st.tuples(accounts)),
    st.builds(PruneNonces, st.integers(90, 110)),
    st.builds(
        Settlement,
        st.integers(1, 4).map(lambda n: a_winner(sender_nonce=n).ticket.hash),
        st.sampled_from([TicketState.REDEEMED, TicketState.LOST]),
        st.just("end"),
        paid=st.sampled_from([None, Wei(5)]),
        at=st.sampled_from([1.0, 3.0]),
    ),
    st.builds(ForgetTickets, st.just(2.0)),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batches=st.lists(st.lists(writes, min_size=1, max_size=6), min_size=1, max_size=4))
async def test_any_writes__both_stores_come_to_the_same(tmp_path_factory, postgres, batches):
    postgres.take_back()
    ends = []
    for kind in ("sqlite", "postgresql"):
        same = Lives(kind, tmp_path_factory.mktemp("store"), postgres)
        async with same.open() as store:
            credited = [await store._commit(batch) for batch in batches]
            ends.append((credited, await end_of(store)))
        async with same.open() as store:
            ends[-1] = (*ends[-1], await end_of(store))
    assert ends[0] == ends[1]


async def end_of(store):
    loaded = await store.load()
    tickets = [(t.winner.ticket.hash, t.session, t.received_at, t.note) for t in await store.pending()]
    totals = store.totals
    states = {state: totals.of(state) for state in TicketState}
    return loaded, sorted(tickets), totals.received, states, totals.paid, ORCHESTRATOR
