"""A node's payments moved from its own file into a shared database: all of them in one transaction, then compared."""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from livefleet.chain import Postgres
from livefleet.chain.postgres import Connection
from livefleet.kernel import BadInput
from livefleet.kernel.database import reading
from livefleet.payments.postgres_batch import session_text
from livefleet.payments.postgres_schema import PART, STEPS
from livefleet.payments.records import TicketState

__all__ = ["CopiedPayments", "copy_payments"]

_READABLE = 2  # version of the file
_MARK = "copied payments "


@dataclass(frozen=True, slots=True)
class CopiedPayments:
    """What is in the database for the node, as compared with the file."""

    balances: int
    credit: Fraction  # wei, their sum
    nonces: int
    tickets: int
    pending: int
    pending_value: int  # wei, sum of face values
    already: bool  # nothing was written: an earlier copy did


async def copy_payments(path: Path, database: Postgres, *, node: str, chain_id: int | None) -> CopiedPayments:
    """Copy the file of `node` (fleet/host), whose agent must not run. A second time it only compares what stays.

    Raises BadInput where there is no such file, where it is another chain's, or where the node has paid work in the
    database already; DatabaseFailed and DatabaseUnusable.
    """
    source = _Source(path)
    await database.migrate(PART, STEPS)
    bound = chain_id if source.chain_id is None else source.chain_id
    if chain_id is not None and bound != chain_id:
        raise BadInput(f"{path} holds tickets of chain {bound}, the node is on chain {chain_id}; nothing was copied")
    if bound is not None:
        await database.bind(bound)
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", _MARK + node)
        already = await connection.fetchval("SELECT value FROM livefleet.meta WHERE key = $1", _MARK + node)
        if already is None:
            id_ = await _claim(connection, node, source)
            await source.copy(connection, id_)
            await connection.execute("INSERT INTO livefleet.meta VALUES ($1, $2)", _MARK + node, source.mark)
        elif already != source.mark:
            raise BadInput(f"{database.place} has a copy of another file for {node}; {path} was not copied")
        copied = await _copied(connection, node, already=already is not None)
        if already is None and copied != (expected := source.expected()):
            raise BadInput(f"{path}: the copy differs ({copied}, expected {expected}); nothing was kept of it")
    return copied


class _Source:
    """The file, read whole: it holds minutes of nonces and a year of winners."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise BadInput(f"{path}: no such file; there is nothing to copy")
        with reading(path) as db:
            try:
                meta = dict(db.execute("SELECT key, value FROM payments_meta"))
                if int(meta.get("version", "0")) != _READABLE:
                    raise BadInput(
                        f"{path} is of store version {meta.get('version')}; start the node once with its file"
                    )
                self.secrets = db.execute("SELECT name, value FROM secrets").fetchall()
                self.balances = db.execute(
                    "SELECT sender, session, amount, fixed_price, touched FROM balances"
                ).fetchall()
                self.sets = db.execute(
                    "SELECT recipient_rand_hash, expiration_block, sender FROM commitments"
                ).fetchall()
                self.nonces = db.execute("SELECT recipient_rand_hash, nonce FROM nonces").fetchall()
                self.tickets = db.execute(
                    "SELECT hash, state, recipient, sender, face_value, win_prob, sender_nonce, recipient_rand_hash, "
                    "aux_data, signature, recipient_rand, expiration_block, session, received_at, note, tx_hash, paid, "
                    "settled_at FROM tickets"
                ).fetchall()
            except sqlite3.DatabaseError as error:
                raise BadInput(f"{path} is no payments store: {error}") from error
        self._meta: Mapping[str, str] = meta
        self.chain_id = int(meta["chain_id"]) if "chain_id" in meta else None
        self.mark = hashlib.sha256(dict(self.secrets).get("recipient", b"")).hexdigest()
        """What tells this file from another, and no secret."""

    async def copy(self, db: Connection, node: int) -> None:
        """Write all of it for a node that has nothing yet."""
        await db.executemany(
            "INSERT INTO livefleet.secrets VALUES ($1, $2, $3) "
            "ON CONFLICT (node, name) DO UPDATE SET value = excluded.value",
            [(node, *row) for row in self.secrets],
        )
        await db.copy_records_to_table(
            "balances",
            schema_name="livefleet",
            records=[(node, sender, session_text(session), *rest) for sender, session, *rest in self.balances],
        )
        await db.copy_records_to_table("commitments", schema_name="livefleet", records=_of(node, self.sets))
        await db.copy_records_to_table("nonces", schema_name="livefleet", records=_of(node, self.nonces))
        await db.executemany(
            "INSERT INTO livefleet.tickets (node, hash, state, recipient, sender, face_value, win_prob, sender_nonce, "
            "recipient_rand_hash, aux_data, signature, recipient_rand, expiration_block, session, received_at, note, "
            "tx_hash, paid, settled_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "
            "$17, $18, $19)",
            [_ticket(node, row) for row in self.tickets],
        )
        await db.executemany(
            "INSERT INTO livefleet.ticket_sums VALUES ($1, $2, $3, $4, $5, $6)",
            [(node, *key, *sums) for key, sums in sorted(self._sums().items())],
        )
        await db.execute(
            "UPDATE livefleet.nodes SET received_count = $2, received_value = $3, nonces_floor = $4 WHERE id = $1",
            node,
            int(self._meta.get("received_count", "0")),
            self._meta.get("received_value", "0"),
            int(self._meta.get("nonces_floor", "0")),
        )

    def expected(self) -> CopiedPayments:
        """What must be found afterwards."""
        waiting = [int(row[4]) for row in self.tickets if row[1] == TicketState.PENDING.value]
        return CopiedPayments(
            balances=len(self.balances),
            credit=sum((Fraction(amount) for _, _, amount, *_ in self.balances), Fraction(0)),
            nonces=len(self.nonces),
            tickets=len(self.tickets),
            pending=len(waiting),
            pending_value=sum(waiting),
            already=False,
        )

    def _sums(self) -> dict[tuple[str, str], list[int]]:
        """(count, face values, paid) by recipient and state; of forgotten tickets under no recipient."""
        sums: dict[tuple[str, str], list[int]] = {}
        for _, state, recipient, _, face_value, *_, paid, _ in self.tickets:
            _add(sums, (recipient, state), 1, int(face_value), int(paid or 0))
        for state in (TicketState.REDEEMED.value, TicketState.LOST.value):
            count, value = self._meta.get(f"forgotten_{state}", "0 0").split()
            if int(count):
                _add(sums, ("", state), int(count), int(value), 0)
        if forgotten := int(self._meta.get("forgotten_paid", "0")):
            _add(sums, ("", TicketState.REDEEMED.value), 0, 0, forgotten)
        return sums


async def _claim(db: Connection, node: str, source: _Source) -> int:
    """The node's row, taken from whoever wrote for it. Raises BadInput where it has a life of its own there."""
    id_ = await db.fetchval(
        "INSERT INTO livefleet.nodes (name, holder) VALUES ($1, '') ON CONFLICT (name) DO UPDATE SET holder = '' "
        "RETURNING id",
        node,
    )
    used = await db.fetchval(
        "SELECT received_count > 0 OR EXISTS (SELECT FROM livefleet.balances WHERE node = $1) "
        "OR EXISTS (SELECT FROM livefleet.tickets WHERE node = $1) FROM livefleet.nodes WHERE id = $1",
        id_,
    )
    if used:
        raise BadInput(
            f"{node} has been paid in the database already, so its file is an older life; nothing was copied. "
            "Its winning tickets can still be redeemed: start the node with its file and the duty redemption"
        )
    known = await db.fetchval(
        "SELECT count(*) FROM livefleet.tickets WHERE hash = ANY($1::bytea[])", [row[0] for row in source.tickets]
    )
    if known:
        raise BadInput(f"{known} winning ticket(s) of the file are in the database already, won by another node")
    return int(id_)


async def _copied(db: Connection, node: str, *, already: bool) -> CopiedPayments:
    id_ = await db.fetchval("SELECT id FROM livefleet.nodes WHERE name = $1", node)
    amounts = [row["amount"] for row in await db.fetch("SELECT amount FROM livefleet.balances WHERE node = $1", id_)]
    nonces = await db.fetchval("SELECT count(*) FROM livefleet.nonces WHERE node = $1", id_)
    tickets = await db.fetchval("SELECT count(*) FROM livefleet.tickets WHERE node = $1", id_)
    pending = await db.fetchrow(
        "SELECT count(*) AS count, coalesce(sum(face_value), 0) AS value FROM livefleet.tickets "
        "WHERE node = $1 AND state = 'pending'",
        id_,
    )
    return CopiedPayments(
        balances=len(amounts),
        credit=sum((Fraction(amount) for amount in amounts), Fraction(0)),
        nonces=nonces,
        tickets=tickets,
        pending=pending["count"],
        pending_value=int(pending["value"]),
        already=already,
    )


def _of(node: int, rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(node, *row) for row in rows]


def _ticket(node: int, row: tuple[Any, ...]) -> tuple[Any, ...]:
    hash_, state, recipient, sender, face_value, win_prob, nonce, rand_hash, aux, signature, rand, block, *rest = row
    session, received_at, note, tx_hash, paid, settled_at = rest
    return (
        *(node, hash_, state, recipient, sender, int(face_value), int(win_prob), nonce, rand_hash, aux, signature),
        *(int(rand), block, session_text(session), received_at, note, tx_hash, None if paid is None else int(paid)),
        settled_at,
    )


def _add(sums: dict[tuple[str, str], list[int]], key: tuple[str, str], *by: int) -> None:
    kept = sums.setdefault(key, [0, 0, 0])
    for index, value in enumerate(by):
        kept[index] += value
