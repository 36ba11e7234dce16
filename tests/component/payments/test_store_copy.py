"""A node's files brought into a shared database: all of it, once, or nothing."""

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
from ruamel.yaml import YAML

from livefleet.chain import Attempt, Call, IntentState, Postgres, PostgresIntents, SpendLimit, SqliteIntents
from livefleet.chain.intents_copy import CopiedIntents, copy_intents
from livefleet.kernel import BadInput, Wei
from livefleet.payments import PostgresStore, SqliteStore, TicketState
from livefleet.payments.records import DebitRecord, ForgetTickets, PruneNonces, Settlement
from livefleet.payments.store_copy import copy_payments
from tests.builders.payments import GATEWAY, OTHER
from tests.component.payments.shared_payments import SESSION, VALUE, a_numbered_payment, a_numbered_winner

pytestmark = pytest.mark.component

CHAIN, NODE = 1337, "test/node"


async def a_life(path):
    """A store with something of everything; what it would load, and its totals."""
    async with SqliteStore(path) as store:
        await store.bind(CHAIN)
        secrets = [await store.secret(name) for name in ("recipient", "auth-token")]
        for number in range(1, 7):
            await store.take(a_numbered_payment(number), lambda _: None)
        await store.take(
            replace(a_numbered_payment(7), fixed_price=Fraction(7, 3), expiration_block=50), lambda _: None
        )
        await store.note(a_numbered_winner(1).ticket.hash, "gas is dear")
        await store.settle(end_of(2, TicketState.REDEEMED, paid=Wei(9), tx_hash=b"\x05" * 32, at=10.0))
        await store.settle(end_of(3, TicketState.LOST, at=20.0))
        await store.settle(end_of(4, TicketState.REDEEMED, paid=Wei(5), at=30.0))
        store.later(ForgetTickets(15.0))
        store.later(PruneNonces(60))
        store.later(DebitRecord((GATEWAY, SESSION), Fraction(1, 7), 9.0))
        await store.take(replace(a_numbered_payment(8), account=(OTHER, SESSION)), lambda _: None)
        return secrets, await store.load(), await store.pending(), store.totals


def end_of(number, state, **fields):
    return Settlement(a_numbered_winner(number).ticket.hash, state, "end", **fields)


async def test_copy__the_node_goes_on_where_its_file_was(postgres, tmp_path):
    secrets, loaded, pending, totals = await a_life(tmp_path / "store")
    async with Postgres(postgres.database(), tls=None) as database:
        copied = await copy_payments(tmp_path / "store", database, node=NODE, chain_id=CHAIN)
        assert not copied.already
        assert (copied.pending, copied.pending_value) == (
            totals.of(TicketState.PENDING).count,
            totals.of(TicketState.PENDING).value,
        )
        assert (copied.balances, copied.credit) == (2, 16 * VALUE - Fraction(1, 7))
        async with PostgresStore(database, name=NODE) as store:
            assert [await store.secret(name) for name in ("recipient", "auth-token")] == secrets
            assert await store.load() == loaded
            assert await store.pending() == pending
            assert store.totals.received == totals.received
            assert {s: store.totals.of(s) for s in TicketState} == {s: totals.of(s) for s in TicketState}
            assert store.totals.paid == totals.paid == 14
            assert await store.take(a_numbered_payment(1), lambda _: None) == 0, "a nonce is forgotten"


async def test_copy__again__writes_nothing_and_resets_nothing(postgres, tmp_path):
    await a_life(tmp_path / "store")
    async with Postgres(postgres.database(), tls=None) as database:
        first = await copy_payments(tmp_path / "store", database, node=NODE, chain_id=CHAIN)
        assert await copy_payments(tmp_path / "store", database, node=NODE, chain_id=CHAIN) == replace(
            first, already=True
        )
        async with PostgresStore(database, name=NODE) as store:
            store.later(DebitRecord((GATEWAY, SESSION), Fraction(100), 9.0))
        again = await copy_payments(tmp_path / "store", database, node=NODE, chain_id=CHAIN)
        assert again.credit == first.credit - 100


async def test_copy__node_has_a_life_there__is_refused_and_changes_nothing(postgres, tmp_path):
    await a_life(tmp_path / "store")
    async with Postgres(postgres.database(), tls=None) as database, PostgresStore(database, name=NODE) as store:
        await store.take(a_numbered_payment(100), lambda _: None)
        with pytest.raises(BadInput, match="has been paid in the database already"):
            await copy_payments(tmp_path / "store", database, node=NODE, chain_id=CHAIN)
        assert await store.take(a_numbered_payment(101), lambda _: None) == 2 * VALUE


async def test_copy__another_file_for_the_same_node__is_refused(postgres, tmp_path):
    for name in ("store", "other"):
        await a_life(tmp_path / name)
    async with Postgres(postgres.database(), tls=None) as database:
        await copy_payments(tmp_path / "store", database, node=NODE, chain_id=CHAIN)
        with pytest.raises(BadInput, match="copy of another file"):
            await copy_payments(tmp_path / "other", database, node=NODE, chain_id=CHAIN)
        with pytest.raises(BadInput, match="won by another node"):
            await copy_payments(tmp_path / "other", database, node="test/second", chain_id=CHAIN)


async def test_copy__other_chain_or_no_store__is_refused(postgres, tmp_path):
    await a_life(tmp_path / "store")
    (tmp_path / "text").write_text("tickets, honestly\n" * 100)
    async with Postgres(postgres.database(), tls=None) as database:
        for name, chain_id, said in (
            ("store", 42161, "chain 1337, the node is on chain 42161"),
            ("nowhere", CHAIN, "no such file"),
            ("text", CHAIN, "no payments store"),
        ):
            with pytest.raises(BadInput, match=said):
                await copy_payments(tmp_path / name, database, node=NODE, chain_id=chain_id)


async def test_copy__intents__keep_their_attempts_and_order(postgres, tmp_path):
    path = tmp_path / "transactions"
    async with SqliteIntents(path, chain_id=CHAIN, signer=GATEWAY) as file:
        for nonce, purpose in enumerate(("one", "two", "three")):
            await recorded(file, purpose, nonce)
        first, second, third = await file.live()
        await file.add_attempt(third.id, an_attempt(2, b"b"))
        await file.set_state(second.id, IntentState.ABANDONED, at=7.0, reason="it would revert")
        await file.set_state(first.id, IntentState.ABANDONED, at=8.0, reason="likewise")
        before = [*await file.settled(0, 10), *await file.live()]
    async with Postgres(postgres.database(), tls=None) as database:
        assert await copy_intents(path, database) == CopiedIntents(3, 3)
        assert await copy_intents(path, database) == CopiedIntents(3, 0)
        assert await copy_intents(tmp_path / "nowhere", database) == CopiedIntents(0, 0)
        async with PostgresIntents(database, chain_id=CHAIN, signer=GATEWAY) as store:
            after = [*await store.settled(0, 10), *await store.live()]
            assert [replace(intent, id=0) for intent in after] == [replace(intent, id=0) for intent in before]
            assert [intent.purpose for intent in after] == ["two", "one", "three"]


async def test_copy__intent_under_way_twice__is_refused(postgres, tmp_path):
    path = tmp_path / "transactions"
    async with SqliteIntents(path, chain_id=CHAIN, signer=GATEWAY) as file:
        await recorded(file, "one", 0)
    async with (
        Postgres(postgres.database(), tls=None) as database,
        PostgresIntents(database, chain_id=CHAIN, signer=GATEWAY) as store,
    ):
        await recorded(store, "another", 0, name=b"z")
        with pytest.raises(BadInput, match=r"'one' of 0x19E7.* is under way"):
            await copy_intents(path, database)
        assert [intent.purpose for intent in await store.live()] == ["another"]


async def test_command__copies_and_tells_what__twice(postgres, tmp_path):
    url = postgres.database()
    state = tmp_path / "var/lib/livefleet"
    (state / "secrets").mkdir(parents=True)
    (state / "secrets/database").write_text(url)
    _, _, pending, _ = await a_life(state / "store.sqlite3")
    node = {
        "fleet": "test",
        "name": "node",
        "root": str(tmp_path),
        "role": "redeemer",
        "network": {"name": "devchain", "rpc": ["http://127.0.0.1:1"], "chain_id": CHAIN},
        "redeemer": {"key": "redeemer"},
        "gpus": "none",
        "store": {"postgres": "database", "tls": "disable"},
        "secrets": {"database": "secrets/database"},
    }
    path = tmp_path / "node.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(node, file)
    done = run("store", "copy", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("copied: 2 balances")
    assert f"({len(pending)} of {sum(t.winner.ticket.face_value for t in pending)} wei pending)" in done.stdout
    again = run("store", "copy", str(path), "--json")
    assert json.loads(again.stdout)["already"] is True
    assert url not in done.stdout + done.stderr + again.stdout + again.stderr
    with path.open("w") as file:
        YAML(typ="safe").dump({key: value for key, value in node.items() if key != "store"}, file)
    refused = run("store", "copy", str(path))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no `store:` with a database" in refused.stderr


def run(*arguments):
    command = [sys.executable, "-m", "livefleet", "agent", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def an_attempt(nonce, name=b"a"):
    return Attempt(name.rjust(32, b"\0") + bytes([nonce]), nonce, b"raw" + name, 50_000, Wei(2**66), Wei(1), 5.5)


async def recorded(store, purpose, nonce, name=b"a"):
    call = Call(to=OTHER, data=b"\x01", value=Wei(2**80))
    limit = SpendLimit(Wei(2**70), Wei(2**90))
    return await store.record(purpose, call, limit, an_attempt(nonce, name), replace_after_s=2.5, created_at=4.25)
