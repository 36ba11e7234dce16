"""Memory and file stay bounded: parameter sets of one sender, their end, tickets that ended long ago."""

import sqlite3

import pytest
from coincurve import PublicKey
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain import keccak256, personal_hash, recover_address, sign_hash
from livefleet.kernel import BlockNumber, Refused, SessionId
from livefleet.payments import BadPayment, SqliteStore, TicketState, nonces
from livefleet.payments.nonces import KEEP_BLOCKS, Nonces
from livefleet.payments.onchain import KEEP_SETTLED_S
from livefleet.payments.records import Settlement
from livefleet.spec import TicketSettings
from tests.builders.clock import HandClock
from tests.builders.payments import GATEWAY, GATEWAY_KEY, OTHER, ToldChain, a_desk, find_winner, pay

pytestmark = pytest.mark.component

SESSION = SessionId("aabbccdd")
EVEN_ODDS = TicketSettings(expected_value=6 * 10**15)
SETS = 20


def rows(path, table):
    with sqlite3.connect(path) as db:
        (number,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    db.close()
    return number


async def test_flood__one_sender_with_many_parameter_sets__memory_and_file_stop_growing(tmp_path, monkeypatch):
    monkeypatch.setattr(nonces, "MAX_SETS", SETS)
    path, chain, refused = tmp_path / "s", ToldChain(), []
    async with a_desk(path, chain=chain) as (payments, _, _, _):
        for _ in range(2 * SETS):
            try:
                await payments.receive(pay(await payments.quote(GATEWAY), [1]), SESSION)
            except Refused as error:
                refused.append(error.text)
        assert len(payments._nonces) == rows(path, "commitments") == rows(path, "nonces") == SETS
        assert set(refused) == {f"invalid ticket senderNonce: too many values sender={GATEWAY} nonce=1"}
    # A restart forgets no set, nor whose it is.
    async with a_desk(path, chain=chain, seed=b"other quotes") as (payments, _, _, _):
        with pytest.raises(Refused, match="too many values"):
            await payments.receive(pay(await payments.quote(GATEWAY), [1]), SESSION)

        chain.move(l1_block=BlockNumber(chain.now.l1_block + 40 + KEEP_BLOCKS + 1))
        payments.clean()
        assert len(payments._nonces) == 0
        await payments.receive(pay(await payments.quote(GATEWAY), [1]), SESSION)
        assert rows(path, "commitments") == rows(path, "nonces") == 1


def test_nonces__one_senders_flood__is_not_anothers(monkeypatch):
    monkeypatch.setattr(nonces, "MAX_SETS", 2)
    seen = Nonces({})
    for number in range(2):
        seen.reserve(bytes([number]) * 32, 100, GATEWAY, 1)
    with pytest.raises(BadPayment, match="too many values"):
        seen.reserve(b"\x09" * 32, 100, GATEWAY, 1)
    seen.reserve(b"\x09" * 32, 100, OTHER, 1)
    seen.reserve(b"\x00" * 32, 100, GATEWAY, 2)  # known sets go on


async def test_forgotten_parameters__endpoint_lags_after_a_restart__no_replay(tmp_path):
    path, chain = tmp_path / "s", ToldChain()
    async with a_desk(path, chain=chain) as (payments, _, _, _):
        payment = pay(await payments.quote(GATEWAY), [1, 2])
        await payments.receive(payment, SESSION)
        chain.move(l1_block=BlockNumber(chain.now.l1_block + 40 + KEEP_BLOCKS + 1))
        payments.clean()
    # Its head is where it was when that was quoted.
    async with a_desk(path, chain=ToldChain(), seed=b"other quotes") as (payments, _, _, _):
        with pytest.raises(Refused, match=r"^TicketParams expired$"):
            await payments.receive(payment, SESSION)
        assert payments.snapshot().received.count == 2
        await payments.receive(pay(await payments.quote(GATEWAY), [1]), SESSION)


async def test_store_of_the_first_version__is_brought_up_to_date(tmp_path):
    path = tmp_path / "s"
    async with a_desk(path) as (payments, _, _, _):
        payment = pay(await payments.quote(GATEWAY), [1])
        await payments.receive(payment, SESSION)
    db = sqlite3.connect(path)
    db.execute("ALTER TABLE commitments DROP COLUMN sender")
    db.execute("UPDATE payments_meta SET value = '1' WHERE key = 'version'")
    db.commit()
    db.close()
    async with a_desk(path) as (payments, _, _, _):
        with pytest.raises(Refused, match="already seen"):
            await payments.receive(payment, SESSION)


async def test_ended_tickets__after_their_time__leave_the_file_and_stay_in_the_totals(tmp_path):
    path, clock = tmp_path / "s", HandClock()
    async with a_desk(path, ticket=EVEN_ODDS, clock=clock) as (payments, store, _, _):
        for _ in range(3):
            quote, nonce = await find_winner(payments, SESSION)
            await payments.receive(pay(quote, [nonce]), SESSION)
        first, second, _ = await store.pending()
        for stored, state, paid in ((first, TicketState.REDEEMED, 5), (second, TicketState.LOST, None)):
            await store.settle(
                Settlement(
                    ticket_hash=stored.winner.ticket.hash, state=state, note="", tx_hash=None, paid=paid, at=clock.now()
                )
            )
        before = store.totals
        clock.time += KEEP_SETTLED_S - 1
        payments.clean()
        await store.load()
        assert rows(path, "tickets") == 3
        clock.time += 2 * 86_400
        payments.clean()
    async with SqliteStore(path) as store:
        assert rows(path, "tickets") == 1  # the one that is pending still
        assert store.totals == before


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=65, max_size=65))
def test_recover__any_bytes__is_what_the_library_says(message, signature):
    for candidate in (signature, signature[:64] + b"\x1b", sign_hash(GATEWAY_KEY, message)):
        expected = None
        low = candidate[32:64] <= bytes.fromhex("7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0")
        if candidate[64] in (27, 28) and low:
            try:
                raw = candidate[:64] + bytes([candidate[64] - 27])
                key = PublicKey.from_signature_and_message(raw, personal_hash(message), hasher=None)
                expected = keccak256(key.format(compressed=False)[1:])[12:]
            except Exception:  # noqa: BLE001 -- that is what the library raises for what cannot be recovered
                expected = None
        assert recover_address(message, candidate) == expected
