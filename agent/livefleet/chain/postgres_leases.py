"""Leases in a database that agents of many machines share."""

from typing import Self

from livefleet.chain.lease import LeaseHolder
from livefleet.chain.postgres import Postgres
from livefleet.chain.postgres_schema import PART, STEPS

__all__ = ["PostgresLeases"]


class PostgresLeases:
    """Leases by the database's own clock, so that what machines think of the time does not matter.

    An async context manager; the database outlives it. The lease of a holder that is gone lasts until its end.
    """

    def __init__(self, database: Postgres) -> None:
        self._database = database

    async def __aenter__(self) -> Self:
        """Raises DatabaseFailed and DatabaseUnusable."""
        await self._database.migrate(PART, STEPS)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return

    async def take(self, name: str, holder: str, ttl_s: float) -> bool:
        """Take a lease for `ttl_s`, or renew one's own; False while another holds it."""
        async with self._database.connection() as connection:
            taken = await connection.fetchval(
                "INSERT INTO livefleet.leases AS held VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3)) "
                "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, "
                "ends = clock_timestamp() + make_interval(secs => $3) "
                "WHERE held.holder = excluded.holder OR held.ends <= clock_timestamp() RETURNING holder",
                *(name, holder, ttl_s),
            )
        return taken is not None

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back; nothing happens where another holds it."""
        async with self._database.connection() as connection:
            await connection.execute("DELETE FROM livefleet.leases WHERE name = $1 AND holder = $2", name, holder)

    async def holder(self, name: str) -> LeaseHolder | None:
        """Who holds a lease now; None where nobody does."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT holder, extract(epoch FROM ends - clock_timestamp()) AS left_s FROM livefleet.leases "
                "WHERE name = $1 AND ends > clock_timestamp()",
                name,
            )
        return None if row is None else LeaseHolder(row["holder"], float(row["left_s"]))
