import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest

from livefleet.kernel.database import execute_script, open_database, reading, transaction

pytestmark = pytest.mark.unit

TABLE = "CREATE TABLE kept (value TEXT NOT NULL) STRICT"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state/store.db"


@pytest.fixture
def db(path):
    with closing(open_database(path)) as db:
        db.execute(TABLE)
        yield db


def values(db):
    return [value for (value,) in db.execute("SELECT value FROM kept ORDER BY rowid")]


def test_open__no_file__is_made_and_the_owners_alone(path):
    before = os.umask(0)
    try:
        with closing(open_database(path)) as db:
            db.execute(TABLE)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


@pytest.mark.parametrize(("survives_power_loss", "synchronous"), [(True, 2), (False, 1)])
def test_open__what_was_committed__survives_what_was_asked(path, survives_power_loss, synchronous):
    with closing(open_database(path, survives_power_loss=survives_power_loss)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (synchronous,)  # FULL, NORMAL


def test_open__no_database__raises_and_leaves_it(path):
    path.parent.mkdir()
    path.write_text("something else, long enough to have a header of its own" * 10)

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        open_database(path)

    assert path.read_text().startswith("something else")


def test_transaction__block_raises__nothing_is_kept(db):
    def write_and_be_cut_off():
        with transaction(db):
            db.execute("INSERT INTO kept VALUES ('one')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_be_cut_off()

    with transaction(db):
        db.execute("INSERT INTO kept VALUES ('two')")
    assert (values(db), db.in_transaction) == (["two"], False)


def test_transaction__cannot_be_committed__is_over_and_nothing_is_kept(db):
    db.execute("PRAGMA foreign_keys=ON")
    db.execute("CREATE TABLE owners (id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE owned (owner INTEGER REFERENCES owners (id) DEFERRABLE INITIALLY DEFERRED)")

    with pytest.raises(sqlite3.IntegrityError), transaction(db):
        db.execute("INSERT INTO owned VALUES (1)")

    with transaction(db):
        db.execute("INSERT INTO kept VALUES ('two')")
    assert db.execute("SELECT count(*) FROM owned").fetchone() == (0,)


def test_transaction__another_is_open__waits_no_longer_than_it_may(path, db):
    with closing(open_database(path, busy_s=0)) as other, transaction(db):
        with pytest.raises(sqlite3.OperationalError, match="locked"), transaction(other):
            pass
        assert not other.in_transaction


def test_script__triggers_and_comments__is_run_whole(db):
    execute_script(
        db,
        """
        CREATE TABLE log (text TEXT);  -- SQLite's own; of no length
        CREATE TRIGGER kept_is_logged AFTER INSERT ON kept BEGIN
          INSERT INTO log VALUES ('a;');
          INSERT INTO log VALUES ('b');
        END;
        INSERT INTO kept VALUES
          ('one');
        """,
    )

    assert db.execute("SELECT text FROM log").fetchall() == [("a;",), ("b",)]


def test_script__fails_half_way__takes_its_transaction_along(db):
    with pytest.raises(sqlite3.OperationalError, match="no such table"), transaction(db):
        execute_script(db, "INSERT INTO kept VALUES ('one');\nINSERT INTO none VALUES (1);\n")

    assert values(db) == []


def test_script__whose_last_statement_has_no_semicolon__is_executed_whole(db):
    with transaction(db):
        execute_script(db, "INSERT INTO kept VALUES ('one');\nINSERT INTO kept VALUES ('two')")

    assert values(db) == ["one", "two"]


def test_reading__while_somebody_writes__sees_what_was_committed_and_writes_nothing(path, db):
    db.execute("INSERT INTO kept VALUES ('one')")
    with transaction(db):
        db.execute("INSERT INTO kept VALUES ('two')")
        with reading(path) as reader:
            assert values(reader) == ["one"]
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader.execute("INSERT INTO kept VALUES ('three')")


def test_reading__no_file__makes_none(tmp_path):
    with pytest.raises(sqlite3.OperationalError), reading(tmp_path / "none") as db:
        db.execute("SELECT 1 FROM kept")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("where", "found"), [("inside", []), ("after", ["one"])])
def test_writer__killed__commits_whole_or_not(path, db, where, found):
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom livefleet.kernel.database import *\n"
        "db = open_database(Path(sys.argv[1]))\n"
        "with transaction(db):\n"
        "    db.execute(\"INSERT INTO kept VALUES ('one')\")\n"
        "    if sys.argv[2] == 'inside': os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    ended = subprocess.run([sys.executable, "-c", script, str(path), where], timeout=60)

    assert ended.returncode == -9
    with transaction(db):
        assert values(db) == found
