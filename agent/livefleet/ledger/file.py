"""The books on disk: one SQLite file, written once a source and never changed. Blocking; one thread's own.

Entries and postings carry triggers that refuse to change or forget them. Balances are kept beside them and written in
the same transaction, together with the block that the books reach.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from livefleet.kernel import Address, BadInput, Round
from livefleet.kernel.database import execute_script, open_database, transaction
from livefleet.ledger.accounts import Account, AccountKind, Currency, Entry, EntryKind, Posting

__all__ = ["Balances", "Closing", "LedgerFile", "read_ledger"]

Balances = Mapping[tuple[Account, Currency], int]
"""Wei or LPTU by account."""

_VERSION = 1
_UNEXPLAINED = Account(AccountKind.UNEXPLAINED)
_SCHEMA = """
CREATE TABLE entries (
  id INTEGER PRIMARY KEY,
  source TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  block INTEGER NOT NULL,
  at INTEGER NOT NULL,
  round INTEGER NOT NULL,
  tx_hash BLOB NOT NULL,
  counterparty TEXT,
  note TEXT NOT NULL,
  face_value TEXT,             -- wei outgrow SQLite's integers
  ticket BLOB NOT NULL,
  ours TEXT
);
CREATE TABLE postings (
  entry INTEGER NOT NULL REFERENCES entries (id),
  account TEXT NOT NULL,
  currency TEXT NOT NULL,
  amount TEXT NOT NULL
);
CREATE INDEX postings_of ON postings (entry);
CREATE INDEX postings_to ON postings (account);
CREATE TABLE balances (
  account TEXT NOT NULL,
  currency TEXT NOT NULL,
  amount TEXT NOT NULL,
  PRIMARY KEY (account, currency)
);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;
CREATE TRIGGER entries_are_kept BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'an entry is never removed'); END;
CREATE TRIGGER postings_stay BEFORE UPDATE ON postings BEGIN SELECT RAISE(ABORT, 'a posting is never changed'); END;
CREATE TRIGGER postings_are_kept BEFORE DELETE ON postings BEGIN SELECT RAISE(ABORT, 'a posting is never removed'); END;
"""


@dataclass(frozen=True, slots=True)
class Closing:
    """How far the books reach."""

    block: int
    round: Round  # last initialised one at that block
    at: int  # the block's unix seconds
    hash: bytes = b""  # the block's, 32 bytes


class LedgerFile:
    """One orchestrator's books. Raises BadInput for a file that holds another's."""

    def __init__(self, path: Path, *, chain_id: int, orchestrator: Address) -> None:
        self._db = open_database(path)
        try:
            self._migrate(path)
            self._bind(path, f"{chain_id} {orchestrator}")
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    @property
    def closing(self) -> Closing | None:
        """How far the books reach; None before they are opened."""
        wanted = "SELECT name, value FROM facts WHERE name IN ('block', 'round', 'at', 'hash')"
        rows = dict(self._db.execute(wanted).fetchall())
        if not rows:
            return None
        return Closing(int(rows["block"]), Round(int(rows["round"])), int(rows["at"]), bytes.fromhex(rows["hash"]))

    def cursor(self, name: str) -> int:
        """Where reading of a source goes on; 0 at first."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (f"cursor {name}",)).fetchone()
        return int(row[0]) if row else 0

    def balances(self) -> Balances:
        """Every account's balance."""
        rows = self._db.execute("SELECT account, currency, amount FROM balances").fetchall()
        return {(Account.parse(account), Currency(currency)): int(amount) for account, currency, amount in rows}

    def unexplained(self) -> int:
        """Wei that wallets moved without a known reason, signs left out."""
        rows = self._db.execute("SELECT amount FROM postings WHERE account = ?", (str(_UNEXPLAINED),)).fetchall()
        return sum(abs(int(amount)) for (amount,) in rows)

    def book(self, entries: Iterable[Entry], closing: Closing, cursors: Mapping[str, int] | None = None) -> int:
        """Write entries and how far the books reach now, all or nothing; how many were new."""
        with transaction(self._db):
            new = sum(self._insert(entry) for entry in entries)
            facts: dict[str, object] = {"block": closing.block, "round": closing.round, "at": closing.at}
            facts |= {"hash": closing.hash.hex()} | {f"cursor {name}": place for name, place in (cursors or {}).items()}
            self._db.executemany(
                "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [(name, str(value)) for name, value in facts.items()],
            )
        return new

    def entries(self) -> Iterator[Entry]:
        """Every entry in the order of booking."""
        return _entries(self._db)

    def _insert(self, entry: Entry) -> int:
        done = self._db.execute(
            "INSERT INTO entries (source, kind, block, at, round, tx_hash, counterparty, note, face_value, ticket, "
            "ours) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source) DO NOTHING",
            (
                entry.source, entry.kind.value, entry.block, entry.at, entry.round, entry.tx_hash, entry.counterparty,
                entry.note, None if entry.face_value is None else str(entry.face_value), entry.ticket, entry.ours,
            ),
        )  # fmt: skip
        if done.rowcount == 0:
            return 0
        for posting in entry.postings:
            row = (str(posting.account), posting.currency.value)
            self._db.execute(
                "INSERT INTO postings (entry, account, currency, amount) VALUES (?, ?, ?, ?)",
                (done.lastrowid, *row, str(posting.amount)),
            )
            held = self._db.execute("SELECT amount FROM balances WHERE account = ? AND currency = ?", row).fetchone()
            after = posting.amount + (int(held[0]) if held else 0)
            self._db.execute(
                "INSERT INTO balances (account, currency, amount) VALUES (?, ?, ?) "
                "ON CONFLICT (account, currency) DO UPDATE SET amount = excluded.amount",
                (*row, str(after)),
            )
        return 1

    def _migrate(self, path: Path) -> None:
        with transaction(self._db):
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                execute_script(self._db, _SCHEMA)
                self._db.execute(f"PRAGMA user_version={_VERSION}")
            elif version != _VERSION:
                raise BadInput(
                    f"{path}: a ledger of version {version}, this release reads {_VERSION}; use the newer one"
                )

    def _bind(self, path: Path, owner: str) -> None:
        self._db.execute("INSERT INTO facts (name, value) VALUES ('owner', ?) ON CONFLICT (name) DO NOTHING", (owner,))
        (found,) = self._db.execute("SELECT value FROM facts WHERE name = 'owner'").fetchone()
        if found != owner:
            raise BadInput(
                f"{path}: holds the books of {found.replace(' ', ', ', 1)} (chain, orchestrator), "
                f"not of {owner.replace(' ', ', ', 1)}; move it away to begin new ones"
            )


def read_ledger(path: Path) -> tuple[str, list[Entry]]:
    """Owner (chain id and orchestrator) and entries of a ledger that an agent may have open; nothing is written.

    Raises BadInput.
    """
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    except sqlite3.Error as error:
        raise BadInput(f"{path}: cannot open the ledger: {error}; does the node have the duty `ledger`?") from error
    try:
        (owner,) = db.execute("SELECT value FROM facts WHERE name = 'owner'").fetchone()
        return str(owner), list(_entries(db))
    except sqlite3.Error as error:
        raise BadInput(f"{path}: is no ledger: {error}") from error
    finally:
        db.close()


def _entries(db: sqlite3.Connection) -> Iterator[Entry]:
    postings: dict[int, list[Posting]] = {}
    for entry, account, currency, amount in db.execute("SELECT entry, account, currency, amount FROM postings"):
        postings.setdefault(entry, []).append(Posting(Account.parse(account), Currency(currency), int(amount)))
    rows = db.execute(
        "SELECT id, source, kind, block, at, round, tx_hash, counterparty, note, face_value, ticket, ours "
        "FROM entries ORDER BY block, id"
    )
    for id_, source, kind, block, at, round_, tx_hash, counterparty, note, face_value, ticket, ours in rows:
        yield Entry(
            source=source,
            kind=EntryKind(kind),
            block=block,
            at=at,
            round=Round(round_),
            postings=tuple(postings.get(id_, ())),
            tx_hash=tx_hash,
            counterparty=None if counterparty is None else Address(counterparty),
            note=note,
            face_value=None if face_value is None else int(face_value),
            ticket=ticket,
            ours=None if ours is None else Address(ours),
        )
