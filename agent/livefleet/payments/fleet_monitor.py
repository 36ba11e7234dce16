"""What senders are good for where others redeem too: their redemptions under way count as ours do."""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from livefleet.chain import DatabaseFailed, Postgres
from livefleet.kernel import Address, Wei
from livefleet.payments.sender_monitor import ChainReader, SenderMonitor

__all__ = ["FleetMonitor"]

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_AT_MOST_EVERY_S = 0.1
_TELL_AGAIN_S = 5.0
_TOO_OLD_S = 20.0  # what a redeemer that is gone had under way; whoever takes over tells of the same tickets


class FleetMonitor(SenderMonitor):
    """A SenderMonitor that tells the others of a database what is under way here, and counts what is there.

    An async context manager. While the database is away, what was known last counts.
    """

    def __init__(
        self, chain: ChainReader, database: Postgres, recipient: Address, *, too_old_s: float = _TOO_OLD_S
    ) -> None:
        super().__init__(chain)
        self._database = database
        self._recipient = recipient
        self._too_old_s = too_old_s
        self._holder = secrets.token_bytes(16)
        self._others: Mapping[Address, int] = {}
        self._said: Mapping[Address, int] = {}
        self._said_at = float("-inf")
        self._moved = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        with suppress(DatabaseFailed):
            await self.exchange()
        self.subscribe(self._moved.set)
        await self._group.__aenter__()
        self._keeper = self._group.create_task(self._keep(), name="fleet-monitor")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        await self._group.__aexit__(None, None, None)
        with suppress(DatabaseFailed):
            async with self._database.connection() as connection:
                await connection.execute("DELETE FROM livefleet.in_flight WHERE holder = $1", self._holder)

    def pending(self, sender: Address) -> Wei:
        """Face values whose redemption is under way, here or elsewhere."""
        return Wei(super().pending(sender) + self._others.get(sender, 0))

    async def exchange(self) -> None:
        """Tell what is under way here, and read what is elsewhere. Raises DatabaseFailed."""
        now = asyncio.get_running_loop().time()
        ours = dict(self._pending)
        async with self._database.connection() as connection:
            if ours != self._said or (ours and now - self._said_at >= _TELL_AGAIN_S):
                async with connection.transaction():
                    await connection.execute("DELETE FROM livefleet.in_flight WHERE holder = $1", self._holder)
                    await connection.executemany(
                        "INSERT INTO livefleet.in_flight VALUES ($1, $2, $3, $4, clock_timestamp())",
                        [(self._holder, self._recipient, sender, value) for sender, value in ours.items()],
                    )
                self._said, self._said_at = ours, now
            rows = await connection.fetch(
                "SELECT sender, sum(face_value) AS value FROM livefleet.in_flight "
                "WHERE holder <> $1 AND recipient = $2 AND told_at > clock_timestamp() - make_interval(secs => $3) "
                "GROUP BY sender",
                *(self._holder, self._recipient, self._too_old_s),
            )
        others = {Address(row["sender"]): int(row["value"]) for row in rows}
        if others != self._others:
            self._others = others
            self._tell()

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S):
                    await self._moved.wait()
            self._moved.clear()
            try:
                await self.exchange()
            except DatabaseFailed as error:
                log.debug("floats.not_exchanged", extra={"error": str(error)})
                await asyncio.sleep(_EVERY_S)
            await asyncio.sleep(_AT_MOST_EVERY_S)
