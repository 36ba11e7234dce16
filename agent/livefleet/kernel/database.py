"""SQLite files as the stores keep them: one that writes and any number that read, also from other processes.

Every function blocks, and raises OSError or sqlite3.Error as they come: what a store makes of them is its own.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

__all__ = ["execute_script", "open_database", "reading", "transaction"]


def open_database(path: Path, *, busy_s: float = 30.0, survives_power_loss: bool = True) -> sqlite3.Connection:
    """Open or make the file, readable by its owner only, and the folders above it. The caller closes.

    WAL: what was committed survives kill -9, and readers see whole commits only. `survives_power_loss`: that too
    (synchronous=FULL). Another writer is waited for `busy_s`. Nothing is in a transaction but what `transaction` holds.
    One thread at a time uses the connection, whichever has opened it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with ExitStack() as stack:
        db = sqlite3.connect(path, isolation_level=None, timeout=busy_s, check_same_thread=False)
        stack.callback(db.close)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={'FULL' if survives_power_loss else 'NORMAL'}")
        stack.pop_all()
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All that the block writes, or nothing where it raises. Nobody else writes meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    finally:
        if db.in_transaction:  # no longer, where it was committed
            db.execute("ROLLBACK")


def execute_script(db: sqlite3.Connection, script: str) -> None:
    """Every statement of a script, each ending with its line, in the transaction that is open.

    `executescript` would commit that first. A trigger's own semicolons stay inside it.
    """
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    if statement.strip():  # the last one may end without its semicolon
        db.execute(statement)


@contextmanager
def reading(path: Path, *, busy_s: float = 10.0) -> Iterator[sqlite3.Connection]:
    """A file that an agent may have open; nothing is written."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=busy_s)) as db:
        yield db
