"""Intents in a SQLite file: WAL and synchronous=FULL, so that a row that was written survives the machine's power."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from livefleet.chain.errors import DatabaseUnusable, IntentTaken
from livefleet.chain.intents import LIVE, Attempt, Intent, IntentState, answer_from_json, answer_to_json
from livefleet.chain.models import Call, SpendLimit, TransactionOutcome
from livefleet.kernel import Address, Blocking, Wei
from livefleet.kernel.database import execute_script, open_database, transaction

__all__ = ["VERSION", "SqliteIntents"]

VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS intents (
  id INTEGER PRIMARY KEY,
  chain_id INTEGER NOT NULL,
  signer TEXT NOT NULL,
  purpose TEXT NOT NULL,
  call_to TEXT NOT NULL,
  call_data BLOB NOT NULL,
  call_value TEXT NOT NULL,      -- wei outgrow SQLite's integers
  max_gas_price TEXT NOT NULL,
  nonce INTEGER NOT NULL,
  state TEXT NOT NULL,
  created_at REAL NOT NULL,
  answer TEXT                    -- JSON: the outcome, why it was abandoned, or both
);
CREATE INDEX IF NOT EXISTS by_purpose ON intents (chain_id, signer, purpose);
CREATE TABLE IF NOT EXISTS attempts (
  tx_hash BLOB PRIMARY KEY,
  intent INTEGER NOT NULL REFERENCES intents (id),
  nonce INTEGER NOT NULL,
  raw BLOB NOT NULL,
  gas INTEGER NOT NULL,
  max_fee TEXT NOT NULL,
  tip TEXT NOT NULL,
  signed_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS by_intent ON attempts (intent);
"""
_TO_VERSION_1 = """
ALTER TABLE intents ADD COLUMN max_cost TEXT NOT NULL DEFAULT '0';
ALTER TABLE intents ADD COLUMN replace_after REAL;
ALTER TABLE intents ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN settled_at REAL;
ALTER TABLE attempts ADD COLUMN cancels INTEGER NOT NULL DEFAULT 0;
UPDATE intents SET settled = (SELECT COUNT(*) FROM intents AS other WHERE other.chain_id = intents.chain_id
  AND other.signer = intents.signer AND other.id <= intents.id AND other.state <> 'pending') WHERE state <> 'pending';
UPDATE intents SET settled_at = created_at WHERE state <> 'pending';
UPDATE intents SET state = 'final' WHERE state = 'mined';
DROP INDEX IF EXISTS one_live_purpose;
DROP INDEX IF EXISTS one_live_nonce;
CREATE UNIQUE INDEX one_live_purpose ON intents (chain_id, signer, purpose) WHERE state IN ('pending', 'mined');
CREATE UNIQUE INDEX one_live_nonce ON intents (chain_id, signer, nonce) WHERE state IN ('pending', 'mined');
CREATE UNIQUE INDEX by_settlement ON intents (chain_id, signer, settled) WHERE settled > 0;
PRAGMA user_version = 1;
"""
_COLUMNS = (
    "id, purpose, call_to, call_data, call_value, max_gas_price, max_cost, replace_after, nonce, state, created_at, "
    "answer, settled, settled_at"
)
_LIVE = ", ".join(f"'{state.value}'" for state in LIVE)


class SqliteIntents:
    """IntentStore in one file, which holds any number of signers. Owns its connection and the thread that uses it."""

    def __init__(self, path: Path, *, chain_id: int, signer: Address) -> None:
        self._path = path
        self._key = (chain_id, signer)
        self._blocking = Blocking("intents")
        self._db: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Open or make the file; one of an earlier version is brought up to date. Raises DatabaseUnusable."""
        try:
            await self._blocking.run(self._open)
        except BaseException:
            await asyncio.shield(self._blocking.__aexit__(None, None, None))
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._blocking.run(self._connection.close)
        await self._blocking.__aexit__(None, None, None)

    async def record(
        self,
        purpose: str,
        call: Call,
        limit: SpendLimit,
        attempt: Attempt,
        *,
        replace_after_s: float | None,
        created_at: float,
    ) -> Intent:
        """Write an intent and its first attempt. Raises IntentTaken where its purpose or nonce has a live one."""
        return await self._blocking.run(self._record, purpose, call, limit, attempt, replace_after_s, created_at)

    async def add_attempt(self, intent: int, attempt: Attempt) -> Intent:
        """Write another attempt; the intent takes its nonce. Raises IntentTaken where another live one has that."""
        return await self._blocking.run(self._add_attempt, intent, attempt)

    async def set_limit(self, intent: int, limit: SpendLimit, replace_after_s: float | None) -> Intent:
        """Change how much an intent may cost and how soon it is replaced."""
        return await self._blocking.run(self._set_limit, intent, limit, replace_after_s)

    async def set_state(
        self,
        intent: int,
        state: IntentState,
        *,
        at: float,
        outcome: TransactionOutcome | None = None,
        reason: str | None = None,
    ) -> Intent:
        """Say what became of an intent; one that is settled stays as it is."""
        return await self._blocking.run(self._set_state, intent, state, at, answer_to_json(outcome, reason))

    async def get(self, intent: int) -> Intent:
        """One intent by id."""
        return (await self._blocking.run(self._select, "id = ?", intent))[0]

    async def live(self) -> list[Intent]:
        """Every intent that is not settled, in the order of nonces."""
        return await self._blocking.run(self._select, f"state IN ({_LIVE}) ORDER BY nonce")

    async def latest(self, purpose: str) -> Intent | None:
        """The latest intent of a purpose, whatever its state."""
        found = await self._blocking.run(self._select, "purpose = ? ORDER BY id DESC LIMIT 1", purpose)
        return found[0] if found else None

    async def settled(self, after: int, limit: int) -> list[Intent]:
        """Settled intents in the order of settlement, those past place `after`, `limit` at most."""
        return await self._blocking.run(
            self._select, "settled > 0 AND settled > ? ORDER BY settled LIMIT ?", after, limit
        )

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._db is not None, "the store was not entered"
        return self._db

    def _open(self) -> None:
        self._db = open_database(self._path)
        try:
            self._migrate()
        except BaseException:
            self._db.close()
            raise

    def _migrate(self) -> None:
        with self._transaction() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise DatabaseUnusable(
                    f"{self._path} was written by a newer livefleet (version {version}, this one knows {VERSION}); "
                    "install that one, or give this one another state folder"
                )
            execute_script(db, _TABLES + (_TO_VERSION_1 if version < 1 else ""))

    def _record(
        self,
        purpose: str,
        call: Call,
        limit: SpendLimit,
        attempt: Attempt,
        replace_after_s: float | None,
        created_at: float,
    ) -> Intent:
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO intents (chain_id, signer, purpose, call_to, call_data, call_value, max_gas_price, "
                "max_cost, replace_after, nonce, state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(*self._key, purpose, call.to, call.data, str(call.value)),
                    *(str(limit.max_gas_price), str(limit.max_cost), replace_after_s),
                    *(attempt.nonce, IntentState.PENDING.value, created_at),
                ),
            )
            intent = cursor.lastrowid
            assert intent is not None
            self._insert_attempt(intent, attempt)
        return self._select("id = ?", intent)[0]

    def _add_attempt(self, intent: int, attempt: Attempt) -> Intent:
        with self._transaction() as db:
            db.execute("UPDATE intents SET nonce = ? WHERE id = ?", (attempt.nonce, intent))
            self._insert_attempt(intent, attempt)
        return self._select("id = ?", intent)[0]

    def _insert_attempt(self, intent: int, attempt: Attempt) -> None:
        fees = (attempt.gas, str(attempt.max_fee), str(attempt.tip))
        self._connection.execute(
            "INSERT INTO attempts (tx_hash, intent, nonce, raw, gas, max_fee, tip, signed_at, cancels) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (attempt.tx_hash, intent, attempt.nonce, attempt.raw, *fees, attempt.signed_at, attempt.cancels),
        )

    def _set_limit(self, intent: int, limit: SpendLimit, replace_after_s: float | None) -> Intent:
        with self._transaction() as db:
            db.execute(
                "UPDATE intents SET max_gas_price = ?, max_cost = ?, replace_after = ? WHERE id = ?",
                (str(limit.max_gas_price), str(limit.max_cost), replace_after_s, intent),
            )
        return self._select("id = ?", intent)[0]

    def _set_state(self, intent: int, state: IntentState, at: float, answer: str | None) -> Intent:
        with self._transaction() as db:
            if state in LIVE:
                place, settled_at = 0, None
            else:
                (place,) = db.execute(
                    "SELECT COALESCE(MAX(settled), 0) + 1 FROM intents WHERE chain_id = ? AND signer = ?", self._key
                ).fetchone()
                settled_at = at
            db.execute(
                "UPDATE intents SET state = ?, answer = ?, settled = ?, settled_at = ? "  # noqa: S608 -- own text
                f"WHERE id = ? AND state IN ({_LIVE})",
                (state.value, answer, place, settled_at, intent),
            )
        return self._select("id = ?", intent)[0]

    def _select(self, where: str, *values: object) -> list[Intent]:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM intents WHERE chain_id = ? AND signer = ? AND {where}",  # noqa: S608 -- own text
            (*self._key, *values),
        ).fetchall()
        return [self._intent(row) for row in rows]

    def _intent(self, row: tuple[Any, ...]) -> Intent:
        id_, purpose, to, data, value, max_gas_price, max_cost, replace_after, nonce, state, created_at, *rest = row
        answer, settled, settled_at = rest
        attempts = self._connection.execute(
            "SELECT tx_hash, nonce, raw, gas, max_fee, tip, signed_at, cancels FROM attempts WHERE intent = ? "
            "ORDER BY rowid",
            (id_,),
        )
        outcome, reason = answer_from_json(answer)
        return Intent(
            id=id_,
            purpose=purpose,
            call=Call(to=Address(to), data=data, value=Wei(int(value))),
            limit=SpendLimit(Wei(int(max_gas_price)), Wei(int(max_cost))),
            replace_after_s=replace_after,
            nonce=nonce,
            state=IntentState(state),
            created_at=created_at,
            attempts=tuple(
                Attempt(tx_hash, used, raw, gas, Wei(int(max_fee)), Wei(int(tip)), signed_at, bool(cancels))
                for tx_hash, used, raw, gas, max_fee, tip, signed_at, cancels in attempts
            ),
            outcome=outcome,
            abandoned_because=reason,
            settled=settled,
            settled_at=settled_at,
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._connection) as db:
                yield db
        except sqlite3.IntegrityError as error:
            raise IntentTaken(f"another process recorded this purpose or nonce first: {error}") from error
