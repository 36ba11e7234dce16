"""The store's SQL. Every function blocks; one thread calls them.

WAL and synchronous=FULL: what was committed survives kill -9 and power loss, and readers in other processes see
whole commits only. Wei and fractions are text, since SQLite's integers end at 2**63.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, assert_never

from livefleet.kernel import Address, SessionId, Wei, WinProb
from livefleet.kernel.database import execute_script, open_database, reading, transaction
from livefleet.payments.balance import Account, Balance
from livefleet.payments.errors import StoreUnusable
from livefleet.payments.models import TicketCount
from livefleet.payments.records import (
    Commitment,
    DebitRecord,
    ForgetBalances,
    ForgetTickets,
    Loaded,
    LostTicket,
    PaymentRecord,
    PruneNonces,
    Settlement,
    StoredTicket,
    TicketState,
    Totals,
    Write,
)
from livefleet.payments.ticket import Ticket, WinningTicket

__all__ = ["SqliteFile", "read_tickets"]

_VERSION = 2
_BUSY_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS balances (
  sender TEXT NOT NULL, session TEXT NOT NULL, amount TEXT NOT NULL, fixed_price TEXT, touched REAL NOT NULL,
  PRIMARY KEY (sender, session)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commitments (
  recipient_rand_hash BLOB PRIMARY KEY, expiration_block INTEGER NOT NULL, sender TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nonces (
  recipient_rand_hash BLOB NOT NULL, nonce INTEGER NOT NULL, PRIMARY KEY (recipient_rand_hash, nonce)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tickets (
  hash BLOB PRIMARY KEY, state TEXT NOT NULL, recipient TEXT NOT NULL, sender TEXT NOT NULL, face_value TEXT NOT NULL,
  win_prob TEXT NOT NULL, sender_nonce INTEGER NOT NULL, recipient_rand_hash BLOB NOT NULL, aux_data BLOB NOT NULL,
  signature BLOB NOT NULL, recipient_rand TEXT NOT NULL, expiration_block INTEGER NOT NULL, session TEXT NOT NULL,
  received_at REAL NOT NULL, note TEXT NOT NULL, tx_hash BLOB, paid TEXT, settled_at REAL
);
CREATE INDEX IF NOT EXISTS tickets_by_state ON tickets (state, expiration_block);
"""
_TICKET = (
    "SELECT recipient, sender, face_value, win_prob, sender_nonce, recipient_rand_hash, aux_data, signature, "
    "recipient_rand, expiration_block, state, session, received_at, note, tx_hash, paid FROM tickets"
)


class SqliteFile:
    """One open connection for writing."""

    def __init__(self, path: Path) -> None:
        """Open or make the file, readable by its owner only. Raises StoreUnusable, sqlite3.Error."""
        self._path = path
        self._db = open_database(path, busy_s=_BUSY_S)
        try:
            self._migrate()
        except BaseException:
            self._db.close()
            raise
        self.totals = self._read_totals()

    def close(self) -> None:
        """Close the connection; the last one to close folds the WAL back."""
        self._db.close()

    def load(self) -> Loaded:
        """Balances, and nonces of parameter sets that have not been pruned."""
        balances: dict[Account, Balance] = {
            (Address(sender), SessionId(session)): Balance(
                Fraction(amount), None if fixed is None else Fraction(fixed), touched
            )
            for sender, session, amount, fixed, touched in self._db.execute(
                "SELECT sender, session, amount, fixed_price, touched FROM balances"
            )
        }
        seen: defaultdict[bytes, set[int]] = defaultdict(set)
        for rand_hash, nonce in self._db.execute("SELECT recipient_rand_hash, nonce FROM nonces"):
            seen[rand_hash].add(nonce)
        commitments = {
            rand_hash: Commitment(Address(sender), block, frozenset(seen[rand_hash]))
            for rand_hash, block, sender in self._db.execute(
                "SELECT recipient_rand_hash, expiration_block, sender FROM commitments"
            )
        }
        return Loaded(balances, commitments, int(self._meta("nonces_floor", "0")))

    def secret(self, name: str, make: Callable[[int], bytes]) -> bytes:
        """32 bytes that stay the same for the life of the store."""
        with transaction(self._db):
            self._db.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, make(32)))
            (value,) = self._db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return bytes(value)

    def bind(self, chain_id: int) -> None:
        """Tie the store to a chain. Raises StoreUnusable where it is tied to another."""
        with transaction(self._db):
            self._db.execute("INSERT OR IGNORE INTO payments_meta VALUES ('chain_id', ?)", (str(chain_id),))
        if (bound := self._meta("chain_id", "")) != str(chain_id):
            raise StoreUnusable(
                f"{self._path} holds tickets of chain {bound}, this node is on chain {chain_id}; give it another root"
            )

    def commit(self, writes: Sequence[Write]) -> list[Fraction]:
        """Write all in one transaction; what each credited. Raises sqlite3.Error, and then nothing is written."""
        totals = self.totals
        credited = []
        with transaction(self._db):
            for write in writes:
                totals, credit = self._apply(write, totals)
                credited.append(credit)
            if totals.received != self.totals.received:
                self._set_meta("received_count", str(totals.received.count))
                self._set_meta("received_value", str(totals.received.value))
        self.totals = totals
        return credited

    def note(self, ticket_hash: bytes, text: str) -> None:
        """Say why a ticket waits."""
        self._db.execute(
            "UPDATE tickets SET note = ? WHERE hash = ? AND state = ?", (text, ticket_hash, TicketState.PENDING.value)
        )

    def pending(self) -> list[StoredTicket]:
        """Winning tickets to redeem: those whose parameters expire first, then the most valuable, come first."""
        rows = self._db.execute(
            f"{_TICKET} WHERE state = ? ORDER BY expiration_block", (TicketState.PENDING.value,)
        ).fetchall()
        tickets = [_stored(row) for row in rows]
        return sorted(tickets, key=lambda t: (t.winner.expiration_block, -t.winner.ticket.face_value))

    def lost(self, since: float, limit: int) -> list[LostTicket]:
        """Tickets lost at or after `since`, oldest first; the newest `limit`."""
        rows = self._db.execute(
            "SELECT settled_at, sender, face_value, note FROM tickets WHERE state = ? AND settled_at >= ? "
            "ORDER BY settled_at DESC LIMIT ?",
            (TicketState.LOST.value, since, limit),
        ).fetchall()
        return [LostTicket(at, Address(sender), Wei(int(value)), note) for at, sender, value, note in reversed(rows)]

    def _apply(self, write: Write, totals: Totals) -> tuple[Totals, Fraction]:
        nothing = Fraction(0)
        match write:
            case PaymentRecord():
                return self._take(write, totals)
            case DebitRecord():
                self._change(write.account, -write.fee, None, write.at)
                return totals, nothing
            case ForgetBalances():
                self._db.executemany("DELETE FROM balances WHERE sender = ? AND session = ?", write.accounts)
                return totals, nothing
            case PruneNonces():
                self._prune(write.block)
                return totals, nothing
            case ForgetTickets():
                self._forget_tickets(write.before)
                return totals, nothing
            case Settlement():
                return self._settle(write, totals), nothing
            case _:
                assert_never(write)

    def _take(self, payment: PaymentRecord, totals: Totals) -> tuple[Totals, Fraction]:
        fresh = self._add_nonces(payment)
        credit = fresh * payment.ticket_value
        if fresh:
            self._change(payment.account, credit, payment.fixed_price, payment.at)
            totals = replace(totals, received=_plus(totals.received, fresh, credit))
        for winner in payment.winners:
            if self._insert(winner, payment):
                totals = _counted(totals, TicketState.PENDING, 1, winner.ticket.face_value)
        return totals, credit

    def _add_nonces(self, payment: PaymentRecord) -> int:
        if not payment.nonces:
            return 0
        self._db.execute(
            "INSERT OR IGNORE INTO commitments VALUES (?, ?, ?)",
            (payment.recipient_rand_hash, payment.expiration_block, payment.account[0]),
        )
        # One statement for all of them: each gives the loop's thread the interpreter once, and waits to get it back.
        return self._db.execute(
            "INSERT OR IGNORE INTO nonces SELECT ?, value FROM json_each(?)",
            (payment.recipient_rand_hash, json.dumps(payment.nonces)),
        ).rowcount

    def _change(self, account: Account, by: Fraction, fixed_price: Fraction | None, at: float) -> None:
        row = self._db.execute(
            "SELECT amount, fixed_price FROM balances WHERE sender = ? AND session = ?", account
        ).fetchone()
        amount, fixed = (Fraction(row[0]), row[1]) if row else (Fraction(0), None)
        if fixed is None and fixed_price:
            fixed = str(fixed_price)
        self._db.execute(
            "INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?, ?)", (*account, str(amount + by), fixed, at)
        )

    def _insert(self, winner: WinningTicket, payment: PaymentRecord) -> bool:
        ticket = winner.ticket
        return bool(
            self._db.execute(
                "INSERT OR IGNORE INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', NULL, NULL, NULL)",
                (
                    ticket.hash,
                    TicketState.PENDING.value,
                    ticket.recipient,
                    ticket.sender,
                    str(ticket.face_value),
                    str(ticket.win_prob),
                    ticket.sender_nonce,
                    ticket.recipient_rand_hash,
                    ticket.aux_data,
                    winner.signature,
                    str(winner.recipient_rand),
                    winner.expiration_block,
                    payment.account[1],
                    payment.at,
                ),
            ).rowcount
        )

    def _prune(self, block: int) -> None:
        self._db.execute(
            "DELETE FROM nonces WHERE recipient_rand_hash IN "
            "(SELECT recipient_rand_hash FROM commitments WHERE expiration_block < ?)",
            (block,),
        )
        self._db.execute("DELETE FROM commitments WHERE expiration_block < ?", (block,))
        self._set_meta("nonces_floor", str(max(block, int(self._meta("nonces_floor", "0")))))

    def _forget_tickets(self, before: float) -> None:
        """Drop the rows, keep their sums."""
        old = "FROM tickets WHERE state IN (?, ?) AND settled_at < ?"
        ended = (TicketState.REDEEMED.value, TicketState.LOST.value, before)
        sums = _summed(self._forgotten(), self._db.execute(f"SELECT state, face_value, paid {old}", ended))
        self._db.execute(f"DELETE {old}", ended)
        for state, count in sums.by_state.items():
            self._set_meta(f"forgotten_{state.value}", f"{count.count} {count.value}")
        self._set_meta("forgotten_paid", str(sums.paid))

    def _settle(self, end: Settlement, totals: Totals) -> Totals:
        row = self._db.execute(
            "SELECT face_value FROM tickets WHERE hash = ? AND state = ?", (end.ticket_hash, TicketState.PENDING.value)
        ).fetchone()
        if row is None:
            return totals
        paid = None if end.paid is None else str(end.paid)
        self._db.execute(
            "UPDATE tickets SET state = ?, note = ?, tx_hash = ?, paid = ?, settled_at = ? WHERE hash = ?",
            (end.state.value, end.note, end.tx_hash, paid, end.at, end.ticket_hash),
        )
        value = int(row[0])
        totals = _counted(totals, TicketState.PENDING, -1, -value)
        totals = _counted(totals, end.state, 1, value)
        return replace(totals, paid=Wei(totals.paid + (end.paid or 0)))

    def _migrate(self) -> None:
        try:
            with transaction(self._db):
                execute_script(self._db, _SCHEMA)
                self._db.execute("INSERT OR IGNORE INTO payments_meta VALUES ('version', ?)", (str(_VERSION),))
                if self._meta("version", "") == "1":
                    self._db.execute("ALTER TABLE commitments ADD COLUMN sender TEXT NOT NULL DEFAULT ''")
                    self._set_meta("version", str(_VERSION))
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise StoreUnusable(f"{self._path} is no payments store: {error}") from error
        if (version := int(self._meta("version", "0"))) > _VERSION:
            raise StoreUnusable(
                f"{self._path} was written by a newer livefleet (store version {version}, this one knows {_VERSION})"
            )

    def _read_totals(self) -> Totals:
        received = TicketCount(int(self._meta("received_count", "0")), Fraction(self._meta("received_value", "0")))
        kept = self._db.execute("SELECT state, face_value, paid FROM tickets")
        return replace(_summed(self._forgotten(), kept), received=received)

    def _forgotten(self) -> Totals:
        """The sums of tickets that are not kept any more."""
        totals = Totals(paid=Wei(int(self._meta("forgotten_paid", "0"))))
        for state in (TicketState.REDEEMED, TicketState.LOST):
            number, value = self._meta(f"forgotten_{state.value}", "0 0").split()
            totals = _counted(totals, state, int(number), int(value))
        return totals

    def _meta(self, key: str, default: str) -> str:
        row = self._db.execute("SELECT value FROM payments_meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else str(row[0])

    def _set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO payments_meta VALUES (?, ?)", (key, value))


def read_tickets(path: Path, *, states: Iterable[TicketState] = tuple(TicketState)) -> list[StoredTicket]:
    """Winning tickets of a store that an agent may have open, newest first; nothing is written."""
    wanted = [state.value for state in states]
    with reading(path) as db:
        marks = ", ".join("?" * len(wanted))
        rows = db.execute(f"{_TICKET} WHERE state IN ({marks}) ORDER BY received_at DESC", wanted).fetchall()
    return [_stored(row) for row in rows]


def _stored(row: tuple[Any, ...]) -> StoredTicket:
    (recipient, sender, face_value, win_prob, nonce, rand_hash, aux, signature, rand, block, *rest) = row
    state, session, received_at, note, tx_hash, paid = rest
    ticket = Ticket(
        recipient=Address(recipient),
        sender=Address(sender),
        face_value=Wei(int(face_value)),
        win_prob=WinProb(int(win_prob)),
        sender_nonce=nonce,
        recipient_rand_hash=rand_hash,
        aux_data=aux,
    )
    return StoredTicket(
        winner=WinningTicket(ticket, signature, int(rand), block),
        state=TicketState(state),
        session=session,
        received_at=received_at,
        note=note,
        tx_hash=tx_hash,
        paid=None if paid is None else Wei(int(paid)),
    )


def _plus(count: TicketCount, number: int, value: Fraction | int) -> TicketCount:
    return TicketCount(count.count + number, count.value + value)


def _summed(totals: Totals, rows: Iterable[tuple[str, str, str | None]]) -> Totals:
    """`totals` and what rows of (state, face value, paid) add."""
    for state, face_value, paid in rows:
        totals = _counted(totals, TicketState(state), 1, int(face_value))
        totals = replace(totals, paid=Wei(totals.paid + int(paid or 0)))
    return totals


def _counted(totals: Totals, state: TicketState, number: int, value: int) -> Totals:
    return replace(totals, by_state={**totals.by_state, state: _plus(totals.of(state), number, value)})
