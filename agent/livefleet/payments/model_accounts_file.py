"""Models' accounts in one SQLite file. Every function blocks; one thread calls them."""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from livefleet.payments.device_time import DeviceUse, Work

__all__ = ["Model", "ModelAccountsFile", "ModelIncome", "Rows"]

Model = tuple[str, str]
"""Pipeline and model id."""

_BUSY_S = 1.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS begun (at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS income (
  pipeline TEXT NOT NULL, model_id TEXT NOT NULL, jobs INTEGER NOT NULL, units TEXT NOT NULL, charged TEXT NOT NULL,
  PRIMARY KEY (pipeline, model_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS device_use (
  pipeline TEXT NOT NULL, model_id TEXT NOT NULL, device TEXT NOT NULL, seconds REAL NOT NULL, joules REAL,
  measured_s REAL NOT NULL, PRIMARY KEY (pipeline, model_id, device)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class ModelIncome:
    """What gateways were charged for a model."""

    jobs: int = 0
    units: int = 0  # what the pipeline's price is for: pixels, tokens, milliseconds, ...
    charged: Fraction = Fraction(0)  # wei, as expected value of tickets; nothing off-chain


@dataclass(frozen=True, slots=True)
class Rows:
    """Accounts as they are kept."""

    income: Mapping[Model, ModelIncome] = field(default_factory=dict)
    use: Mapping[Work, DeviceUse] = field(default_factory=dict)


class ModelAccountsFile:
    """One open connection. WAL and synchronous=FULL: what was written survives kill -9 and power loss."""

    def __init__(self, path: Path, *, now: float) -> None:
        """Open or make the file, readable by its owner only. Raises OSError, sqlite3.Error."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            self._db.execute("INSERT INTO begun SELECT ? WHERE NOT EXISTS (SELECT 1 FROM begun)", (now,))
            self.since: float = self._db.execute("SELECT at FROM begun").fetchone()[0]
            """Unix seconds of the first start with this file."""
            self.found = self._read()
            """What was in it when it was opened."""
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def write(self, rows: Rows) -> None:
        """Put these in the place of what is there of the same models, all or none. Raises sqlite3.Error."""
        with closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany(
                    "INSERT OR REPLACE INTO income VALUES (?, ?, ?, ?, ?)",
                    [(*model, sum_.jobs, str(sum_.units), str(sum_.charged)) for model, sum_ in rows.income.items()],
                )
                cursor.executemany(
                    "INSERT OR REPLACE INTO device_use VALUES (?, ?, ?, ?, ?, ?)",
                    [(*work, use.seconds, use.joules, use.measured_s) for work, use in rows.use.items()],
                )
                cursor.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    def _read(self) -> Rows:
        income = {
            (pipeline, model_id): ModelIncome(jobs, int(units), Fraction(charged))
            for pipeline, model_id, jobs, units, charged in self._db.execute("SELECT * FROM income")
        }
        use = {
            (pipeline, model_id, device): DeviceUse(seconds, joules, measured_s)
            for pipeline, model_id, device, seconds, joules, measured_s in self._db.execute("SELECT * FROM device_use")
        }
        return Rows(income, use)
