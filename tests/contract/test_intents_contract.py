"""What Transactions relies on an IntentStore for: every store under one test."""

import asyncio
from dataclasses import replace

import pytest

from livefleet.chain import (
    Attempt,
    Call,
    IntentState,
    IntentTaken,
    Postgres,
    PostgresIntents,
    SpendLimit,
    SqliteIntents,
    TransactionOutcome,
)
from livefleet.kernel import Address, Wei
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.contract

CHAIN = 1337
KEY, OTHER_KEY = dev_signer(1).address, dev_signer(2).address
CALL = Call(to=OTHER_KEY, data=b"\x01\x02", value=Wei(2**80))
LIMIT = SpendLimit(Wei(2**70), Wei(2**90))
MINED = TransactionOutcome(
    tx_hash=b"\x11" * 32,
    succeeded=True,
    gas_used=21_000,
    effective_gas_price=Wei(2**65),
    block_number=7,
    logs=((OTHER_KEY, (b"\x22" * 32,), b"\x33"),),
)


@pytest.fixture(params=["sqlite", "postgresql"])
async def open_intents(request, tmp_path):
    """How to open the intents of a signer, again and again, in one store."""

    def sqlite(*, signer: Address = KEY, chain_id: int = CHAIN) -> SqliteIntents:
        return SqliteIntents(tmp_path / "state" / "intents.sqlite3", chain_id=chain_id, signer=signer)

    if request.param == "sqlite":
        yield sqlite
        return
    async with Postgres(request.getfixturevalue("postgres").database(), tls=None) as database:

        def postgresql(*, signer: Address = KEY, chain_id: int = CHAIN) -> PostgresIntents:
            return PostgresIntents(database, chain_id=chain_id, signer=signer)

        yield postgresql


def an_attempt(nonce=0, *, name=b"a", cancels=False) -> Attempt:
    return Attempt(
        name.rjust(32, b"\0") + bytes([nonce]), nonce, b"raw" + name, 50_000, Wei(2**66), Wei(1), 5.5, cancels
    )


async def recorded(store, purpose="aim", *, attempt=None):
    attempt = attempt or an_attempt()
    return await store.record(purpose, CALL, LIMIT, attempt, replace_after_s=2.5, created_at=4.25)


async def test_record__another_handle__reads_the_same_intent(open_intents):
    async with open_intents() as store:
        written = await recorded(store)
        assert written.attempts == (an_attempt(),)
        assert (written.state, written.outcome, written.abandoned_because) == (IntentState.PENDING, None, None)
        async with open_intents() as other:
            assert await other.get(written.id) == written
            assert await other.latest("aim") == written
            assert await other.live() == [written]
    async with open_intents() as later:
        assert await later.live() == [written]


async def test_record__live_purpose_or_nonce__is_taken_and_nothing_is_written(open_intents):
    async with open_intents() as store, open_intents() as other:
        first = await recorded(store)
        with pytest.raises(IntentTaken):
            await recorded(other, attempt=an_attempt(1))
        with pytest.raises(IntentTaken):
            await recorded(other, "another aim", attempt=an_attempt(0, name=b"b"))
        assert await other.live() == [first]
        await store.set_state(first.id, IntentState.MINED, at=9.0, outcome=MINED)
        with pytest.raises(IntentTaken):  # its block may still be taken back
            await recorded(other, attempt=an_attempt(1))
        await store.set_state(first.id, IntentState.FINAL, at=9.0, outcome=MINED)
        assert (await recorded(other, attempt=an_attempt(0, name=b"c"))).nonce == 0


async def test_record__two_handles_at_once__exactly_one_wins(open_intents):
    async with open_intents() as store, open_intents() as other:
        tries = [recorded(s, attempt=an_attempt(n)) for n, s in enumerate((store, other, store, other))]
        answers = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(answer, IntentTaken) for answer in answers) == 3
        assert len(await store.live()) == 1


async def test_add_attempt__new_nonce__moves_the_intent_unless_it_is_taken(open_intents):
    async with open_intents() as store:
        first = await recorded(store)
        second = await recorded(store, "second", attempt=an_attempt(1))
        with pytest.raises(IntentTaken):
            await store.add_attempt(first.id, an_attempt(1, name=b"b"))
        assert await store.get(first.id) == first
        moved = await store.add_attempt(first.id, an_attempt(2, name=b"b", cancels=True))
        assert (moved.nonce, moved.attempts) == (2, (an_attempt(), an_attempt(2, name=b"b", cancels=True)))
        assert [intent.id for intent in await store.live()] == [second.id, first.id]


async def test_set_limit__is_kept(open_intents):
    async with open_intents() as store:
        written = await recorded(store)
        changed = await store.set_limit(written.id, SpendLimit(Wei(3)), None)
        assert changed == replace(written, limit=SpendLimit(Wei(3)), replace_after_s=None)
        assert await store.get(written.id) == changed


async def test_set_state__mined_then_undone_then_final__is_what_the_last_one_said(open_intents):
    async with open_intents() as store:
        written = await recorded(store)
        mined = await store.set_state(written.id, IntentState.MINED, at=1.0, outcome=MINED)
        assert (mined.state, mined.outcome, mined.settled, mined.settled_at) == (IntentState.MINED, MINED, 0, None)
        assert await store.set_state(written.id, IntentState.PENDING, at=2.0) == written
        final = await store.set_state(written.id, IntentState.FINAL, at=3.0, outcome=MINED)
        assert (final.settled, final.settled_at, final.outcome) == (1, 3.0, MINED)
        assert await store.live() == []
        assert await store.set_state(written.id, IntentState.ABANDONED, at=4.0, reason="late") == final


async def test_settled__in_the_order_of_settlement__goes_on_after_the_last_one_seen(open_intents):
    async with open_intents() as store:
        first, second, third = [
            await recorded(store, f"aim {n}", attempt=an_attempt(n, name=bytes([65 + n]))) for n in range(3)
        ]
        await store.set_state(second.id, IntentState.ABANDONED, at=1.0, reason="revert", outcome=MINED)
        await store.set_state(first.id, IntentState.FINAL, at=2.0, outcome=replace(MINED, succeeded=False))
        await store.set_state(third.id, IntentState.MINED, at=3.0, outcome=MINED)
        settled = await store.settled(0, 10)
        assert [(intent.purpose, intent.settled) for intent in settled] == [("aim 1", 1), ("aim 0", 2)]
        assert (settled[0].abandoned_because, settled[0].outcome) == ("revert", MINED)
        assert await store.settled(0, 1) == settled[:1]
        assert await store.settled(1, 10) == settled[1:]
        assert await store.settled(2, 10) == []


async def test_store__other_keys_and_chains__are_kept_apart(open_intents):
    async with open_intents() as ours, open_intents(signer=OTHER_KEY) as other, open_intents(chain_id=1) as elsewhere:
        written = await recorded(ours)
        for index, store in enumerate((other, elsewhere)):
            assert await store.live() == []
            theirs = await recorded(store, attempt=an_attempt(0, name=bytes([index])))
            await store.set_state(theirs.id, IntentState.FINAL, at=1.0, outcome=MINED)
            assert [intent.settled for intent in await store.settled(0, 10)] == [1]
        assert await ours.live() == [written]
        assert await ours.settled(0, 10) == []
