"""Intents of a node's own file brought into a shared database, in one transaction; those that are there stay."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livefleet.chain.intents_sqlite import VERSION
from livefleet.chain.postgres import Connection, Postgres
from livefleet.chain.postgres_schema import PART, STEPS
from livefleet.kernel import BadInput
from livefleet.kernel.database import reading

__all__ = ["CopiedIntents", "copy_intents"]


@dataclass(frozen=True, slots=True)
class CopiedIntents:
    """How many intents the file has, and how many of them were not in the database yet."""

    intents: int
    written: int


async def copy_intents(path: Path, database: Postgres) -> CopiedIntents:
    """Copy every key's intents with their attempts, in the order of settlement; a second time nothing is written.

    Raises BadInput where the file cannot be read, or where a live intent's purpose or nonce has another one there.
    """
    await database.migrate(PART, STEPS)
    intents, attempts = _read(path)
    async with database.transaction() as db:
        await db.execute("LOCK TABLE livefleet.intents IN SHARE ROW EXCLUSIVE MODE")
        written = 0
        for intent in intents:
            written += await _write(db, path, intent, attempts[intent["id"]])
    return CopiedIntents(len(intents), written)


def _read(path: Path) -> tuple[list[sqlite3.Row], dict[int, list[sqlite3.Row]]]:
    if not path.exists():
        return [], {}
    with reading(path) as db:
        db.row_factory = sqlite3.Row
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise BadInput(f"{path} is of version {version}, not {VERSION}; start the node once with its file")
            intents = db.execute("SELECT * FROM intents ORDER BY settled, id").fetchall()
            attempts: dict[int, list[sqlite3.Row]] = {intent["id"]: [] for intent in intents}
            for attempt in db.execute("SELECT * FROM attempts ORDER BY rowid"):
                attempts[attempt["intent"]].append(attempt)
        except sqlite3.DatabaseError as error:
            raise BadInput(f"{path} holds no intents: {error}") from error
    return intents, attempts


async def _write(db: Connection, path: Path, intent: sqlite3.Row, attempts: list[sqlite3.Row]) -> bool:
    hashes = [attempt["tx_hash"] for attempt in attempts]
    if await db.fetchval("SELECT count(*) FROM livefleet.attempts WHERE tx_hash = ANY($1::bytea[])", hashes):
        return False
    if not intent["settled"] and await _is_taken(db, intent):
        raise BadInput(
            f"{path}: {intent['purpose']!r} of {intent['signer']} is under way, and the database has a live intent of "
            "that purpose or nonce; wait until one of both has ended, then copy again"
        )
    id_ = await db.fetchval(
        "INSERT INTO livefleet.intents (chain_id, signer, purpose, call_to, call_data, call_value, max_gas_price, "
        "max_cost, replace_after, nonce, state, created_at, answer, settled_at, settled) VALUES ($1, $2, $3, $4, $5, "
        "$6, $7, $8, $9, $10, $11, $12, $13, $14, CASE WHEN $15 THEN (SELECT coalesce(max(settled), 0) + 1 "
        "FROM livefleet.intents WHERE chain_id = $1 AND signer = $2) ELSE 0 END) RETURNING id",
        *_values(intent, "chain_id", "signer", "purpose", "call_to", "call_data"),
        *(int(intent[name]) for name in ("call_value", "max_gas_price", "max_cost")),
        *_values(intent, "replace_after", "nonce", "state", "created_at", "answer", "settled_at"),
        bool(intent["settled"]),
    )
    await db.executemany(
        "INSERT INTO livefleet.attempts (intent, tx_hash, nonce, raw, gas, max_fee, tip, signed_at, cancels) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        [
            (
                id_,
                *_values(attempt, "tx_hash", "nonce", "raw", "gas"),
                *(int(attempt[name]) for name in ("max_fee", "tip")),
                *(attempt["signed_at"], bool(attempt["cancels"])),
            )
            for attempt in attempts
        ],
    )
    return True


async def _is_taken(db: Connection, intent: sqlite3.Row) -> bool:
    return bool(
        await db.fetchval(
            "SELECT count(*) FROM livefleet.intents WHERE chain_id = $1 AND signer = $2 AND settled = 0 "
            "AND (purpose = $3 OR nonce = $4)",
            *_values(intent, "chain_id", "signer", "purpose", "nonce"),
        )
    )


def _values(row: sqlite3.Row, *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)
