"""Tokens and hosts in one SQLite file beside the fleet: each decision is one transaction, on disk before it is told.

The service and the operator's commands work on it at once, each from a process of its own. There is no secret in it.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from livefleet.control.enrol.records import HostRecord, HostState
from livefleet.control.enrol.tokens import Template, TemplateKind, Token, fault_of, new_code, token_hash
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.kernel.database import transaction
from livefleet.spec.enrolment import EnrolAsk, EnrolFault, HostReport, host_name

__all__ = ["MOST_WAITING", "MOST_WAITING_OF_A_PEER", "EnrolStore", "NotLetIn"]

MOST_WAITING: Final = 500
"""Hosts that may wait at once; a flood fills this and no more."""

MOST_WAITING_OF_A_PEER: Final = 50
"""Likewise from one address. A site with more of them behind one address lets them in by a token."""

_WAITS_FOR_S: Final = 7 * 86_400.0  # a host that nobody approves and that no longer asks is forgotten
_SEEN_EVERY_S: Final = 60.0
_SCHEMA: Final = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS tokens (
  sha256 TEXT PRIMARY KEY, kind TEXT NOT NULL, template TEXT NOT NULL, made_at REAL NOT NULL, expires_at REAL NOT NULL,
  uses INTEGER NOT NULL, made_by TEXT NOT NULL, used INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS hosts (
  key TEXT PRIMARY KEY, state TEXT NOT NULL, code TEXT NOT NULL UNIQUE, ask TEXT NOT NULL, peer TEXT NOT NULL,
  asked_at REAL NOT NULL, seen_at REAL NOT NULL, name TEXT, kind TEXT, template TEXT, token TEXT, enrolled_at REAL,
  report TEXT, decided_by TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_key_a_name ON hosts (name) WHERE state = 'enrolled';
COMMIT;
"""


class NotLetIn(Exception):
    """The service says no to a host, for this reason."""

    def __init__(self, fault: EnrolFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class EnrolStore:
    """`path` is made (0600) when there is none. Each call opens it anew and may block for `busy_s` at most.

    `declared` tells the names of the hosts that the fleet file has; no new host gets one of them.
    """

    def __init__(
        self,
        path: Path,
        declared: Callable[[], Collection[str]],
        *,
        busy_s: float = 10.0,
        most_of_a_peer: int = MOST_WAITING_OF_A_PEER,
        code: Callable[[], str] = new_code,
    ) -> None:
        self.path = path
        self._declared = declared
        self._busy_s = busy_s
        self._most_of_a_peer = most_of_a_peer
        self._code = code

    def add(self, token: Token) -> None:
        """Keep a new token."""
        with self._change() as db:
            db.execute(
                "INSERT INTO tokens (sha256, kind, template, made_at, expires_at, uses, made_by)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    token.sha256,
                    token.template.kind,
                    token.template.name,
                    token.made_at,
                    token.expires_at,
                    token.uses,
                    token.made_by,
                ),
            )

    def tokens(self) -> tuple[Token, ...]:
        """All of them, the oldest first."""
        with self._open() as db:
            return tuple(_token(row) for row in db.execute("SELECT * FROM tokens ORDER BY made_at, sha256"))

    def revoke(self, token_id: str) -> Token:
        """Let nobody in by this token any more. Raises BadInput where no token, or more than one, has this id."""
        with self._change() as db:
            found = [_token(row) for row in db.execute("SELECT * FROM tokens") if row["sha256"].startswith(token_id)]
            if len(found) != 1 or len(token_id) < 4:
                raise BadInput(f"{len(found)} tokens begin with `{token_id}`; see `livefleet enrol token list`")
            db.execute("UPDATE tokens SET revoked = 1 WHERE sha256 = ?", (found[0].sha256,))
            return found[0]

    def hosts(self) -> tuple[HostRecord, ...]:
        """All that have asked, the oldest first."""
        with self._open() as db:
            return tuple(_host(row) for row in db.execute("SELECT * FROM hosts ORDER BY asked_at, key"))

    def by_code(self, code: str) -> HostRecord | None:
        """The host with that code."""
        with self._open() as db:
            row = db.execute("SELECT * FROM hosts WHERE code = ?", (code,)).fetchone()
            return None if row is None else _host(row)

    def asked(self, key: str, ask: EnrolAsk, peer: str, now: float) -> HostRecord:
        """A host asks. The same key is told the same; a new one is let in by its token, or waits. Raises NotLetIn."""
        with self._change() as db:
            row = db.execute("SELECT * FROM hosts WHERE key = ?", (key,)).fetchone()
            known = None if row is None else _host(row)
            if known is not None and known.state is HostState.ENROLLED:
                _seen(db, known, now)
                return known
            if ask.token is not None:
                return self._by_token(db, key, ask, ask.token, peer, now)
            if known is not None and known.state in (HostState.REJECTED, HostState.REPLACED):
                raise NotLetIn(EnrolFault.REJECTED)
            if known is not None:
                _seen(db, known, now)
                return known
            self._make_room(db, peer, now)
            self._insert(db, key, ask, peer, now)
            return _found(db, key)

    def approve(self, code: str, template: Template, now: float, by: str = "") -> HostRecord:
        """Let a host in that waits, or was rejected. Raises BadInput."""
        with self._change() as db:
            row = db.execute("SELECT * FROM hosts WHERE code = ?", (code,)).fetchone()
            if row is None:
                raise BadInput(f"no host has the code {code}; see `livefleet enrol list`")
            host = _host(row)
            if host.state is HostState.ENROLLED:
                raise BadInput(f"the host with the code {code} is enrolled already, as {host.name}")
            self._let_in(db, host.key, host.ask, template, None, now)
            db.execute("UPDATE hosts SET decided_by = ? WHERE code = ?", (by, code))
            return _found(db, host.key)

    def reject(self, code: str, by: str = "") -> HostRecord:
        """Let a host neither in nor wait; what it was told before it keeps. Returns it as it was. Raises BadInput."""
        with self._change() as db:
            row = db.execute("SELECT * FROM hosts WHERE code = ?", (code,)).fetchone()
            if row is None:
                raise BadInput(f"no host has the code {code}; see `livefleet enrol list`")
            db.execute("UPDATE hosts SET state = ?, decided_by = ? WHERE code = ?", (HostState.REJECTED, by, code))
            return _host(row)

    def reported(self, key: str, report: HostReport, peer: str, now: float) -> None:
        """Keep a host's newest report. Raises NotLetIn for one that is not enrolled."""
        with self._change() as db:
            done = db.execute(
                "UPDATE hosts SET report = ?, peer = ?, seen_at = ? WHERE key = ? AND state = ?",
                (report.model_dump_json(), peer, now, key, HostState.ENROLLED),
            )
            if not done.rowcount:
                raise NotLetIn(EnrolFault.NOT_ENROLLED)

    def _by_token(
        self, db: sqlite3.Connection, key: str, ask: EnrolAsk, text: str, peer: str, now: float
    ) -> HostRecord:
        sha256 = token_hash(text)
        row = db.execute("SELECT * FROM tokens WHERE sha256 = ?", (sha256,)).fetchone()
        token = None if row is None else _token(row)
        if token is None:
            raise NotLetIn(EnrolFault.TOKEN_UNKNOWN)
        if (fault := fault_of(token, now)) is not None:
            raise NotLetIn(fault)
        db.execute("UPDATE tokens SET used = used + 1 WHERE sha256 = ?", (sha256,))
        if db.execute("SELECT 1 FROM hosts WHERE key = ?", (key,)).fetchone() is None:
            self._insert(db, key, ask, peer, now)
        self._let_in(db, key, ask, token.template, token.id, now)
        return _found(db, key)

    def _let_in(
        self, db: sqlite3.Connection, key: str, ask: EnrolAsk, template: Template, token_id: str | None, now: float
    ) -> None:
        name = template.name if template.kind is TemplateKind.HOST else self._free_name(db, ask, key)
        db.execute(
            "UPDATE hosts SET state = ? WHERE name = ? AND state = ?", (HostState.REPLACED, name, HostState.ENROLLED)
        )
        db.execute(
            "UPDATE hosts SET state = ?, name = ?, kind = ?, template = ?, token = ?, enrolled_at = ?, seen_at = ?"
            " WHERE key = ?",
            (HostState.ENROLLED, name, template.kind, template.name, token_id, now, now, key),
        )

    def _free_name(self, db: sqlite3.Connection, ask: EnrolAsk, key: str) -> str:
        """The nickname, or the first part of what the host calls itself, with an ending that its key gives."""
        row = db.execute("SELECT name FROM hosts WHERE key = ?", (key,)).fetchone()
        if row is not None and row["name"] is not None:
            return str(row["name"])  # it was let in before
        name = host_name(ask.nickname or ask.name.partition("-")[0], bytes.fromhex(key))
        if name in self._declared() or db.execute("SELECT 1 FROM hosts WHERE name = ?", (name,)).fetchone():
            raise NotLetIn(EnrolFault.REJECTED)  # one chance in 2**40, unless somebody has looked for such a key
        return name

    def _insert(self, db: sqlite3.Connection, key: str, ask: EnrolAsk, peer: str, now: float) -> None:
        kept = ask.model_copy(update={"token": None}).model_dump_json(exclude_defaults=True)
        db.execute(
            "INSERT INTO hosts (key, state, code, ask, peer, asked_at, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, HostState.WAITING, self._free_code(db), kept, peer, now, now),
        )

    def _free_code(self, db: sqlite3.Connection) -> str:
        for _ in range(100):
            code = self._code()
            if db.execute("SELECT 1 FROM hosts WHERE code = ?", (code,)).fetchone() is None:
                return code
        raise NotLetIn(EnrolFault.BUSY)

    def _make_room(self, db: sqlite3.Connection, peer: str, now: float) -> None:
        db.execute("DELETE FROM hosts WHERE state = ? AND seen_at < ?", (HostState.WAITING, now - _WAITS_FOR_S))
        of_peer = db.execute(
            "SELECT count(*) FROM hosts WHERE state = ? AND peer = ?", (HostState.WAITING, peer)
        ).fetchone()[0]
        waiting = db.execute("SELECT count(*) FROM hosts WHERE state = ?", (HostState.WAITING,)).fetchone()[0]
        if waiting >= MOST_WAITING or of_peer >= self._most_of_a_peer:
            raise NotLetIn(EnrolFault.BUSY)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else's runs beside; on the disk when the block has ended."""
        with self._open() as db, transaction(db):
            yield db

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            db = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise BadInput(f"{self.path}: cannot be opened: {error}") from error
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous = EXTRA")
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'one_key_a_name'").fetchone():
                db.executescript(_SCHEMA)
            yield db
        except sqlite3.OperationalError as error:
            raise OutsideWorld(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise BadInput(f"{self.path}: is damaged, or no file of `livefleet enrol`: {error}") from error
        finally:
            db.close()


def _seen(db: sqlite3.Connection, host: HostRecord, now: float) -> None:
    """A host that asks every few seconds is not written down each time."""
    if now - host.seen_at >= _SEEN_EVERY_S:
        db.execute("UPDATE hosts SET seen_at = ? WHERE key = ?", (now, host.key))


def _found(db: sqlite3.Connection, key: str) -> HostRecord:
    return _host(db.execute("SELECT * FROM hosts WHERE key = ?", (key,)).fetchone())


def _token(row: sqlite3.Row) -> Token:
    return Token(
        id=row["sha256"][:8],
        sha256=row["sha256"],
        template=Template(TemplateKind(row["kind"]), row["template"]),
        made_at=row["made_at"],
        expires_at=row["expires_at"],
        uses=row["uses"],
        made_by=row["made_by"],
        used=row["used"],
        revoked=bool(row["revoked"]),
    )


def _host(row: sqlite3.Row) -> HostRecord:
    template = None if row["kind"] is None else Template(TemplateKind(row["kind"]), row["template"])
    report: Any = None if row["report"] is None else json.loads(row["report"])
    return HostRecord(
        key=row["key"],
        state=HostState(row["state"]),
        code=row["code"],
        ask=EnrolAsk.model_validate_json(row["ask"]),
        peer=row["peer"],
        asked_at=row["asked_at"],
        seen_at=row["seen_at"],
        name=row["name"],
        template=template,
        token_id=row["token"],
        decided_by=row["decided_by"],
        enrolled_at=row["enrolled_at"],
        report=None if report is None else HostReport.model_validate(report),
    )
