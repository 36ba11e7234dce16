"""A database of an earlier version, as operators have it."""

import json
import sqlite3
from contextlib import closing

import pytest

from livefleet.chain import Call, IntentState, SpendLimit, SqliteIntents
from livefleet.chain.errors import DatabaseUnusable
from livefleet.kernel import Wei
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.unit

KEY, TO = dev_signer(1).address, dev_signer(2).address
SCHEMA = """
CREATE TABLE intents (
  id INTEGER PRIMARY KEY, chain_id INTEGER NOT NULL, signer TEXT NOT NULL, purpose TEXT NOT NULL,
  call_to TEXT NOT NULL, call_data BLOB NOT NULL, call_value TEXT NOT NULL, max_gas_price TEXT NOT NULL,
  nonce INTEGER NOT NULL, state TEXT NOT NULL, created_at REAL NOT NULL, answer TEXT
);
CREATE UNIQUE INDEX one_live_purpose ON intents (chain_id, signer, purpose) WHERE state = 'pending';
CREATE UNIQUE INDEX one_live_nonce ON intents (chain_id, signer, nonce) WHERE state = 'pending';
CREATE INDEX by_purpose ON intents (chain_id, signer, purpose);
CREATE TABLE attempts (
  tx_hash BLOB PRIMARY KEY, intent INTEGER NOT NULL REFERENCES intents (id), nonce INTEGER NOT NULL,
  raw BLOB NOT NULL, gas INTEGER NOT NULL, max_fee TEXT NOT NULL, tip TEXT NOT NULL, signed_at REAL NOT NULL
);
CREATE INDEX by_intent ON attempts (intent);
"""
OUTCOME = {
    "tx_hash": "11" * 32,
    "succeeded": True,
    "gas_used": 21_000,
    "effective_gas_price": 10,
    "block_number": 7,
    "logs": [],
}


@pytest.fixture
def old_file(tmp_path):
    path = tmp_path / "transactions.sqlite3"
    rows = [
        (1, "aim 1", 0, "mined", json.dumps(OUTCOME)),
        (2, "aim 2", 1, "abandoned", json.dumps({"reason": "ticket is used"})),
        (3, "aim 3", 2, "pending", None),
        (4, "aim 3", 1, "mined", json.dumps(OUTCOME)),
    ]
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(SCHEMA)
        for id_, purpose, nonce, state, answer in rows:
            db.execute(
                "INSERT INTO intents VALUES (?, 1337, ?, ?, ?, ?, '5', '7', ?, ?, 100.0, ?)",
                (id_, KEY, purpose, TO, b"\x01", nonce, state, answer),
            )
            db.execute(
                "INSERT INTO attempts VALUES (?, ?, ?, ?, 50000, '9', '1', 101.0)", (bytes([id_]), id_, nonce, b"raw")
            )
        db.commit()
    return path


async def test_open__file_of_the_version_before__keeps_everything(old_file):
    for _ in range(2):  # a second start finds it up to date
        async with SqliteIntents(old_file, chain_id=1337, signer=KEY) as store:
            (pending,) = await store.live()
            assert (pending.purpose, pending.nonce, pending.state) == ("aim 3", 2, IntentState.PENDING)
            assert pending.call == Call(TO, b"\x01", Wei(5))
            assert (pending.limit, pending.replace_after_s) == (SpendLimit(Wei(7)), None)
            assert [(a.nonce, a.gas, a.cancels) for a in pending.attempts] == [(2, 50_000, False)]
            first, second, third = await store.settled(0, 10)
            assert [first.settled, second.settled, third.settled] == [1, 2, 3]
            assert (first.state, first.settled_at) == (IntentState.FINAL, 100.0)
            assert first.outcome is not None
            assert first.outcome.gas_used == 21_000
            assert (second.state, second.abandoned_because) == (IntentState.ABANDONED, "ticket is used")
            assert (third.state, third.purpose) == (IntentState.FINAL, "aim 3")


async def test_open__file_of_a_newer_version__is_refused_with_what_to_do(old_file):
    with closing(sqlite3.connect(old_file)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(DatabaseUnusable, match=r"newer livefleet \(version 99.*state folder"):
        async with SqliteIntents(old_file, chain_id=1337, signer=KEY):
            pass
