"""One PostgreSQL database that many agents share: its connections, what it must promise, the versions of its tables.

Every room keeps its own tables in the schema `livefleet` and brings them up to date by `migrate`. The only module that
knows how to reach the server; the rooms see connections.
"""

import asyncio
import functools
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

from livefleet.chain.errors import DatabaseFailed, DatabaseUnusable
from livefleet.chain.stack import asyncpg
from livefleet.kernel import BadInput

__all__ = ["Connection", "Postgres", "PostgresFacts", "connection_errors", "is_in_the_way", "tls_context"]

log = logging.getLogger(__name__)

Connection = Any
"""An asyncpg connection, which has no types of its own."""

PostgresFacts = tuple[int, int | None]
"""Major version of the server, and the chain that the database is bound to."""

_CONNECT_S = 5.0
_COMMAND_S = 8.0
_MIGRATION_S = 600.0
_RETRY_S = 1.0
_AWAY_S = 15.0
_OLDEST = 13  # the oldest version that its makers still mend
_SYNCHRONOUS = ("on", "remote_apply")  # after these a commit survives the primary, and its standby where there is one
_LOCK = 0x11FEF1EE7  # advisory lock of migrations: any number that nobody else uses
_META = """
CREATE SCHEMA IF NOT EXISTS livefleet;
CREATE TABLE IF NOT EXISTS livefleet.meta (key text PRIMARY KEY, value text NOT NULL);
"""
_DEAD_PEER = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}


@functools.cache
def connection_errors() -> tuple[type[Exception], ...]:
    """All that a connection raises when the database does not do what it was asked."""
    return (
        *(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError),
        asyncpg.InternalClientError,  # what is asked of a connection that broke in the middle of a statement
    )


def is_in_the_way(error: BaseException | None) -> bool:
    """Whether it is one of those after which the same transaction works when it is tried again at once."""
    return isinstance(error, (asyncpg.DeadlockDetectedError, asyncpg.SerializationError))


class Postgres:
    """A pool of connections to one database. An async context manager; entering connects and checks.

    `url`: `postgresql://user:password@host:port/database`; it is never logged. Raises BadInput for a URL that is none.
    `tls`: None for none at all.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None,
        connections: int = 4,
        name: str = "livefleet",
        connect_s: float = _CONNECT_S,
        command_s: float = _COMMAND_S,
    ) -> None:
        self.place = _place(url)
        """Where it is, without the password: for messages."""
        self._url = url
        self._tls: ssl.SSLContext | bool = tls or False
        self._connections = connections
        self._connect_s = connect_s
        self._command_s = command_s
        self._name = name
        self._pool: Any = None
        self._is_open = False

    async def __aenter__(self) -> Self:
        """Connect and check. Raises DatabaseFailed while it is away, DatabaseUnusable where it promises too little."""
        self._pool = await self._connected()
        try:
            async with self.connection():
                self._is_open = True
        except BaseException:
            self._pool.terminate()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            async with asyncio.timeout(self._command_s):
                await self._pool.close()
        except connection_errors():
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One of the pool's connections. Raises DatabaseFailed for whatever the database did not do."""
        with self._told():
            async with self._pool.acquire(timeout=self._connect_s) as connection:
                try:
                    yield connection
                except asyncpg.InternalClientError:
                    connection.terminate()
                    raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction around the block: committed at its end, taken back where it raises."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def migrate(self, part: str, steps: Sequence[str]) -> None:
        """Bring a room's tables to version `len(steps)`, one step a version; several agents may do so at once.

        Raises DatabaseUnusable where a newer livefleet made them.
        """
        key = f"version {part}"
        async with self.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=_MIGRATION_S)
            if await connection.fetchval("SELECT to_regclass('livefleet.meta')") is None:
                await connection.execute(_META)
            version = int(await connection.fetchval("SELECT value FROM livefleet.meta WHERE key = $1", key) or 0)
            if version > len(steps):
                raise DatabaseUnusable(
                    f"{self.place} was written by a newer livefleet ({part} of version {version}, this one knows "
                    f"{len(steps)}); install that one here too"
                )
            for step in steps[version:]:
                await connection.execute(step, timeout=_MIGRATION_S)
            if version < len(steps):
                await connection.execute(
                    "INSERT INTO livefleet.meta VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    key,
                    str(len(steps)),
                )
                log.info("database.migrated", extra={"part": part, "from_version": version, "to_version": len(steps)})

    async def bind(self, chain_id: int) -> None:
        """Tie the database to a chain. Raises DatabaseUnusable where it is tied to another."""
        async with self.connection() as connection:
            bound = await connection.fetchval(
                # A row that is there already is given back by the second part.
                "WITH made AS (INSERT INTO livefleet.meta VALUES ('chain_id', $1) ON CONFLICT DO NOTHING "
                "RETURNING value) SELECT value FROM made UNION ALL "
                "SELECT value FROM livefleet.meta WHERE key = 'chain_id' LIMIT 1",
                str(chain_id),
            )
            if bound is None:  # made by somebody else between both parts
                bound = await connection.fetchval("SELECT value FROM livefleet.meta WHERE key = 'chain_id'")
        if bound != str(chain_id):
            raise DatabaseUnusable(
                f"{self.place} holds tickets of chain {bound}, this node is on chain {chain_id}; "
                "give it another database"
            )

    async def facts(self) -> PostgresFacts:
        """The server's major version and the chain that the database is bound to; None before the first agent came."""
        async with self.connection() as connection:
            bound = None
            if await connection.fetchval("SELECT to_regclass('livefleet.meta')") is not None:
                bound = await connection.fetchval("SELECT value FROM livefleet.meta WHERE key = 'chain_id'")
            return connection.get_server_version().major, None if bound is None else int(bound)

    async def may_create(self) -> bool:
        """Whether this user may make the schema."""
        async with self.connection() as connection:
            return bool(await connection.fetchval("SELECT has_database_privilege(current_database(), 'CREATE')"))

    async def versions(self) -> dict[str, int]:
        """Versions of the rooms' tables, by room; nothing before the first agent came."""
        async with self.connection() as connection:
            if await connection.fetchval("SELECT to_regclass('livefleet.meta')") is None:
                return {}
            rows = await connection.fetch("SELECT key, value FROM livefleet.meta WHERE key LIKE 'version %'")
        return {row["key"].removeprefix("version "): int(row["value"]) for row in rows}

    async def _connected(self) -> Any:
        with self._told():
            return await asyncpg.create_pool(
                self._url,
                ssl=self._tls,
                min_size=0,
                max_size=self._connections,
                timeout=self._connect_s,
                command_timeout=self._command_s,
                init=self._look_at,
                reset=_roll_back,
                server_settings={"application_name": self._name, **_DEAD_PEER},
            )

    async def _look_at(self, connection: Connection) -> None:
        """Every new connection: the server may have come back as another."""
        try:
            await _check(connection, self.place)
        except DatabaseUnusable as error:
            if self._is_open:  # somebody works on it, and what is written here waits for that
                raise DatabaseFailed(str(error), retry_after_s=_RETRY_S) from error
            raise

    def _told(self) -> "_Told":
        return _Told(self.place)


class _Told:
    """Turns what asyncpg raises in a block into our own errors."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, connection_errors()):
            raise DatabaseFailed(f"{self._place}: {_sentence(error)}", retry_after_s=_RETRY_S) from error


async def _roll_back(connection: Connection) -> None:
    """What a connection is given back with: sessions keep nothing else, and a round trip less counts."""
    if connection.is_in_transaction():
        await connection.reset(timeout=_CONNECT_S)


async def _check(connection: Connection, place: str) -> None:
    if (major := connection.get_server_version().major) < _OLDEST:
        raise DatabaseUnusable(f"{place} is PostgreSQL {major}; {_OLDEST} or newer is needed")
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise DatabaseFailed(f"{place} is a standby, which takes no writes; name the primary", retry_after_s=_AWAY_S)
    if (commit := await connection.fetchval("SHOW synchronous_commit")) not in _SYNCHRONOUS:
        raise DatabaseUnusable(
            f"{place} has synchronous_commit = {commit}, so it forgets acknowledged payments when it crashes; "
            f"set it to on for this database or user"
        )
    if await connection.fetchval("SHOW fsync") != "on":
        raise DatabaseUnusable(
            f"{place} has fsync = off, so it forgets acknowledged payments when its machine stops; set it to on"
        )


def _sentence(error: BaseException) -> str:
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return f"it does not let this user in: {error}; look at the URL in the secret and at pg_hba.conf"
        case asyncpg.InvalidCatalogNameError():
            return f"{error}; create it, or correct the URL in the secret"
        case asyncpg.InsufficientPrivilegeError():
            return f"{error}; the user must be allowed to create a schema in this database: GRANT CREATE ON DATABASE"
        case asyncpg.DiskFullError():
            return f"its disk is full: {error}"
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLError():
            return f"TLS failed: {error}; look at `store.tls` and `store.ca`"
        case ConnectionError() if "SSL" in str(error):
            return f"{error}: it speaks no TLS; write `store.tls: disable` where the network between is trusted"
        case OSError():
            return f"not reached: {error}"
        case _:
            return f"{type(error).__name__}: {error}"


def _place(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadInput("the database URL cannot be read; write postgresql://user:password@host:port/database") from None
    if "@" in parts.path + parts.query + parts.fragment:
        raise BadInput(
            "the database URL's password has characters that end it early: write %2F for /, %23 for # and %3F for ? "
            "in postgresql://user:password@host:port/database"
        )
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise BadInput("the database URL must look like postgresql://user:password@host:port/database")
    host = parts.hostname or "local socket"
    return f"PostgreSQL at {host}{f':{port}' if port else ''}{parts.path}"


def tls_context(*, verify: bool, ca: str | None = None) -> ssl.SSLContext:
    """TLS towards a server. `verify`: its certificate must be good and of its name; by `ca`, or the system's roots.

    Raises BadInput where `ca` cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"{ca}: cannot read the certificates of `store.ca`: {error}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
