"""Models' accounts in one SQLite file. Every function blocks; one thread calls them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from livefleet.kernel.database import execute_script, open_database, transaction
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
    """One open connection. What was written survives kill -9 and power loss."""

    def __init__(self, path: Path, *, now: float) -> None:
        """Open or make the file, readable by its owner only. Raises OSError, sqlite3.Error."""
        self._db = open_database(path, busy_s=_BUSY_S)
        try:
            with transaction(self._db) as db:
                execute_script(db, _SCHEMA)
                db.execute("INSERT INTO begun SELECT ? WHERE NOT EXISTS (SELECT 1 FROM begun)", (now,))
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
        with transaction(self._db) as db:
            db.executemany(
                "INSERT OR REPLACE INTO income VALUES (?, ?, ?, ?, ?)",
                [(*model, sum_.jobs, str(sum_.units), str(sum_.charged)) for model, sum_ in rows.income.items()],
            )
            db.executemany(
                "INSERT OR REPLACE INTO device_use VALUES (?, ?, ?, ?, ?, ?)",
                [(*work, use.seconds, use.joules, use.measured_s) for work, use in rows.use.items()],
            )

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
