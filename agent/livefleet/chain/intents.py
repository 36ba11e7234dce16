"""What this key meant to send, on disk before it is sent.

One row an intent, one row an attempt (each replacement and each change of nonce is an attempt). SQLite in WAL mode with
synchronous=FULL: a row that was written survives the machine's power.
"""

import json
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from livefleet.chain.models import Call, TransactionOutcome
from livefleet.kernel import Address, Blocking, Wei

__all__ = ["Attempt", "Intent", "IntentState", "IntentStore"]

_SCHEMA = """
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
  answer TEXT                    -- JSON: the outcome, or why it was abandoned
);
CREATE UNIQUE INDEX IF NOT EXISTS one_live_purpose ON intents (chain_id, signer, purpose) WHERE state = 'pending';
CREATE UNIQUE INDEX IF NOT EXISTS one_live_nonce ON intents (chain_id, signer, nonce) WHERE state = 'pending';
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
_COLUMNS = "id, purpose, call_to, call_data, call_value, max_gas_price, nonce, state, created_at, answer"


class IntentState(StrEnum):
    """Where an intent stands."""

    PENDING = "pending"  # recorded, perhaps sent, not known to be mined
    MINED = "mined"  # one of its attempts has a receipt
    ABANDONED = "abandoned"  # its nonce went to another transaction and it would revert now


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction."""

    tx_hash: bytes
    nonce: int
    raw: bytes
    gas: int
    max_fee: Wei  # wei per gas, cap
    tip: Wei  # wei per gas
    signed_at: float  # unix seconds


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that this key means to do on chain."""

    id: int
    purpose: str
    call: Call
    max_gas_price: Wei  # 0: no limit
    nonce: int
    state: IntentState
    created_at: float
    attempts: tuple[Attempt, ...]  # in the order of signing
    outcome: TransactionOutcome | None  # when mined
    abandoned_because: str | None  # when abandoned


class IntentStore:
    """The intents of one signer on one chain. An async context manager that owns the file and its thread."""

    def __init__(self, path: Path, *, chain_id: int, signer: Address) -> None:
        self._path = path
        self._key = (chain_id, signer)
        self._blocking = Blocking("intents")
        self._db: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        await self._blocking.run(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._blocking.run(self._connection.close)
        await self._blocking.__aexit__(kind, error, trace)

    async def record(
        self, purpose: str, call: Call, max_gas_price: Wei, attempt: Attempt, *, created_at: float
    ) -> Intent:
        """Write an intent and its first attempt, durably."""
        return await self._blocking.run(self._record, purpose, call, max_gas_price, attempt, created_at)

    async def add_attempt(self, intent: int, attempt: Attempt) -> Intent:
        """Write another attempt, durably; the intent takes its nonce."""
        return await self._blocking.run(self._add_attempt, intent, attempt)

    async def settle(self, intent: int, outcome: TransactionOutcome) -> None:
        """Mark an intent as mined."""
        await self._blocking.run(self._finish, intent, IntentState.MINED, _outcome_to_json(outcome))

    async def abandon(self, intent: int, reason: str) -> None:
        """Mark an intent as one that will not be mined."""
        await self._blocking.run(self._finish, intent, IntentState.ABANDONED, json.dumps({"reason": reason}))

    async def get(self, intent: int) -> Intent:
        """One intent by id."""
        return (await self._blocking.run(self._select, "id = ?", (intent,)))[0]

    async def pending(self) -> list[Intent]:
        """Every unsettled intent, in the order of nonces."""
        return await self._blocking.run(self._select, "state = 'pending' ORDER BY nonce", ())

    async def latest(self, purpose: str) -> Intent | None:
        """The latest intent of a purpose, whatever its state."""
        found = await self._blocking.run(self._select, "purpose = ? ORDER BY id DESC LIMIT 1", (purpose,))
        return found[0] if found else None

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._db is not None, "the store was not entered"
        return self._db

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        self._db = sqlite3.connect(self._path, isolation_level=None, timeout=30, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def _record(self, purpose: str, call: Call, max_gas_price: Wei, attempt: Attempt, created_at: float) -> Intent:
        with _transaction(self._connection) as db:
            row = (*self._key, purpose, call.to, call.data, str(call.value), str(max_gas_price), attempt.nonce)
            cursor = db.execute(
                "INSERT INTO intents (chain_id, signer, purpose, call_to, call_data, call_value, max_gas_price, nonce, "
                "state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?)",
                (*row, created_at),
            )
            intent = cursor.lastrowid
            assert intent is not None
            self._insert_attempt(intent, attempt)
        return self._select("id = ?", (intent,))[0]

    def _add_attempt(self, intent: int, attempt: Attempt) -> Intent:
        with _transaction(self._connection) as db:
            db.execute("UPDATE intents SET nonce = ? WHERE id = ?", (attempt.nonce, intent))
            self._insert_attempt(intent, attempt)
        return self._select("id = ?", (intent,))[0]

    def _insert_attempt(self, intent: int, attempt: Attempt) -> None:
        fees = (attempt.gas, str(attempt.max_fee), str(attempt.tip))
        self._connection.execute(
            "INSERT INTO attempts (tx_hash, intent, nonce, raw, gas, max_fee, tip, signed_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (attempt.tx_hash, intent, attempt.nonce, attempt.raw, *fees, attempt.signed_at),
        )

    def _finish(self, intent: int, state: IntentState, answer: str) -> None:
        with _transaction(self._connection) as db:
            db.execute("UPDATE intents SET state = ?, answer = ? WHERE id = ?", (state.value, answer, intent))

    def _select(self, where: str, values: tuple[object, ...]) -> list[Intent]:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM intents WHERE chain_id = ? AND signer = ? AND {where}",  # noqa: S608 -- own text
            (*self._key, *values),
        ).fetchall()
        return [self._intent(*row) for row in rows]

    def _intent(
        self,
        id_: int,
        purpose: str,
        to: str,
        data: bytes,
        value: str,
        max_gas_price: str,
        nonce: int,
        state: str,
        created_at: float,
        answer: str | None,
    ) -> Intent:
        attempts = self._connection.execute(
            "SELECT tx_hash, nonce, raw, gas, max_fee, tip, signed_at FROM attempts WHERE intent = ? ORDER BY rowid",
            (id_,),
        )
        kind = IntentState(state)
        return Intent(
            id=id_,
            purpose=purpose,
            call=Call(to=Address(to), data=data, value=Wei(int(value))),
            max_gas_price=Wei(int(max_gas_price)),
            nonce=nonce,
            state=kind,
            created_at=created_at,
            attempts=tuple(
                Attempt(tx_hash, used, raw, gas, Wei(int(max_fee)), Wei(int(tip)), signed_at)
                for tx_hash, used, raw, gas, max_fee, tip, signed_at in attempts
            ),
            outcome=_outcome_from_json(answer) if kind is IntentState.MINED and answer else None,
            abandoned_because=json.loads(answer)["reason"] if kind is IntentState.ABANDONED and answer else None,
        )


class _transaction:  # noqa: N801 -- reads as a statement
    """BEGIN IMMEDIATE … COMMIT around a block, ROLLBACK where it raises."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _outcome_to_json(outcome: TransactionOutcome) -> str:
    return json.dumps(
        {
            "tx_hash": outcome.tx_hash.hex(),
            "succeeded": outcome.succeeded,
            "gas_used": outcome.gas_used,
            "effective_gas_price": outcome.effective_gas_price,
            "block_number": outcome.block_number,
            "logs": [[address, [t.hex() for t in topics], data.hex()] for address, topics, data in outcome.logs],
        }
    )


def _outcome_from_json(text: str) -> TransactionOutcome:
    raw = json.loads(text)
    return TransactionOutcome(
        tx_hash=bytes.fromhex(raw["tx_hash"]),
        succeeded=raw["succeeded"],
        gas_used=raw["gas_used"],
        effective_gas_price=Wei(raw["effective_gas_price"]),
        block_number=raw["block_number"],
        logs=tuple(
            (Address(address), tuple(bytes.fromhex(topic) for topic in topics), bytes.fromhex(data))
            for address, topics, data in raw["logs"]
        ),
    )
