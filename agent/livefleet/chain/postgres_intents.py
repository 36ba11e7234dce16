"""Intents in a database that agents of many machines share, for duties that more than one of them holds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from livefleet.chain.errors import IntentTaken
from livefleet.chain.intents import LIVE, Attempt, Intent, IntentState, answer_from_json, answer_to_json
from livefleet.chain.models import Call, SpendLimit, TransactionOutcome
from livefleet.chain.postgres import Connection, Postgres
from livefleet.chain.postgres_schema import PART, STEPS
from livefleet.chain.stack import asyncpg
from livefleet.kernel import Address, Wei

__all__ = ["PostgresIntents"]

_COLUMNS = (
    "id, purpose, call_to, call_data, call_value, max_gas_price, max_cost, replace_after, nonce, state, created_at, "
    "answer, settled, settled_at"
)
_ATTEMPT = "intent, tx_hash, nonce, raw, gas, max_fee, tip, signed_at, cancels"


class PostgresIntents:
    """IntentStore of one signer on one chain. An async context manager; the database outlives it."""

    def __init__(self, database: Postgres, *, chain_id: int, signer: Address) -> None:
        self._database = database
        self._key = (chain_id, signer)

    async def __aenter__(self) -> Self:
        """Raises DatabaseFailed and DatabaseUnusable."""
        await self._database.migrate(PART, STEPS)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return

    async def record(
        self,
        purpose: str,
        call: Call,
        limit: SpendLimit,
        attempt: Attempt,
        *,
        replace_after_s: float | None,
        created_at: float,
    ) -> Intent:
        """Write an intent and its first attempt. Raises IntentTaken where its purpose or nonce has a live one."""
        async with self._changing() as db:
            intent = await db.fetchval(
                "INSERT INTO livefleet.intents (chain_id, signer, purpose, call_to, call_data, call_value, "
                "max_gas_price, max_cost, replace_after, nonce, state, created_at) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
                *(*self._key, purpose, call.to, call.data, call.value),
                *(limit.max_gas_price, limit.max_cost, replace_after_s),
                *(attempt.nonce, IntentState.PENDING.value, created_at),
            )
            await _add(db, intent, attempt)
            return await self._one(db, intent)

    async def add_attempt(self, intent: int, attempt: Attempt) -> Intent:
        """Write another attempt; the intent takes its nonce. Raises IntentTaken where another live one has that."""
        async with self._changing() as db:
            await db.execute("UPDATE livefleet.intents SET nonce = $2 WHERE id = $1", intent, attempt.nonce)
            await _add(db, intent, attempt)
            return await self._one(db, intent)

    async def set_limit(self, intent: int, limit: SpendLimit, replace_after_s: float | None) -> Intent:
        """Change how much an intent may cost and how soon it is replaced."""
        async with self._changing() as db:
            await db.execute(
                "UPDATE livefleet.intents SET max_gas_price = $2, max_cost = $3, replace_after = $4 WHERE id = $1",
                *(intent, limit.max_gas_price, limit.max_cost, replace_after_s),
            )
            return await self._one(db, intent)

    async def set_state(
        self,
        intent: int,
        state: IntentState,
        *,
        at: float,
        outcome: TransactionOutcome | None = None,
        reason: str | None = None,
    ) -> Intent:
        """Say what became of an intent; one that is settled stays as it is."""
        async with self._changing() as db:
            # Places are given one after another, so that a reader who has seen one has seen all before it.
            await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{self._key} settled")
            await db.execute(
                "UPDATE livefleet.intents SET state = $4, answer = $5, "
                "settled = CASE WHEN $6 THEN 0 ELSE (SELECT coalesce(max(settled), 0) + 1 FROM livefleet.intents "
                "WHERE chain_id = $1 AND signer = $2) END, settled_at = CASE WHEN $6 THEN NULL ELSE $7::float8 END "
                "WHERE id = $3 AND state = ANY($8::text[])",
                *(*self._key, intent, state.value, answer_to_json(outcome, reason), state in LIVE, at),
                [live.value for live in LIVE],
            )
            return await self._one(db, intent)

    async def get(self, intent: int) -> Intent:
        """One intent by id."""
        async with self._database.connection() as db:
            return await self._one(db, intent)

    async def live(self) -> list[Intent]:
        """Every intent that is not settled, in the order of nonces."""
        async with self._database.connection() as db:
            live = [state.value for state in LIVE]
            return await self._select(db, "state = ANY($3::text[]) ORDER BY nonce", live)

    async def latest(self, purpose: str) -> Intent | None:
        """The latest intent of a purpose, whatever its state."""
        async with self._database.connection() as db:
            found = await self._select(db, "purpose = $3 ORDER BY id DESC LIMIT 1", purpose)
        return found[0] if found else None

    async def settled(self, after: int, limit: int) -> list[Intent]:
        """Settled intents in the order of settlement, those past place `after`, `limit` at most."""
        async with self._database.connection() as db:
            where = "settled > $3 AND settled > 0 ORDER BY settled LIMIT $4"
            return await self._select(db, where, after, limit)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[Connection]:
        async with self._database.connection() as connection:
            try:
                async with connection.transaction():
                    yield connection
            except asyncpg.UniqueViolationError as error:
                raise IntentTaken(f"another process recorded this purpose or nonce first: {error}") from error

    async def _one(self, db: Connection, intent: int) -> Intent:
        return (await self._select(db, "id = $3", intent))[0]

    async def _select(self, db: Connection, where: str, *values: object) -> list[Intent]:
        rows = await db.fetch(
            f"SELECT {_COLUMNS} FROM livefleet.intents WHERE chain_id = $1 AND signer = $2 AND {where}",  # noqa: S608 -- own text
            *self._key,
            *values,
        )
        attempts: dict[int, list[Attempt]] = {row["id"]: [] for row in rows}
        found = f"SELECT {_ATTEMPT} FROM livefleet.attempts WHERE intent = ANY($1::bigint[]) ORDER BY place"  # noqa: S608 -- likewise
        for row in await db.fetch(found, list(attempts)) if rows else ():
            attempts[row["intent"]].append(_attempt(row))
        return [_intent(row, tuple(attempts[row["id"]])) for row in rows]


async def _add(db: Connection, intent: int, attempt: Attempt) -> None:
    await db.execute(
        f"INSERT INTO livefleet.attempts ({_ATTEMPT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",  # noqa: S608 -- own text
        *(intent, attempt.tx_hash, attempt.nonce, attempt.raw, attempt.gas, attempt.max_fee, attempt.tip),
        *(attempt.signed_at, attempt.cancels),
    )


def _attempt(row: Any) -> Attempt:
    return Attempt(
        tx_hash=row["tx_hash"],
        nonce=row["nonce"],
        raw=row["raw"],
        gas=row["gas"],
        max_fee=Wei(int(row["max_fee"])),
        tip=Wei(int(row["tip"])),
        signed_at=row["signed_at"],
        cancels=row["cancels"],
    )


def _intent(row: Any, attempts: tuple[Attempt, ...]) -> Intent:
    outcome, reason = answer_from_json(row["answer"])
    return Intent(
        id=row["id"],
        purpose=row["purpose"],
        call=Call(to=Address(row["call_to"]), data=row["call_data"], value=Wei(int(row["call_value"]))),
        limit=SpendLimit(Wei(int(row["max_gas_price"])), Wei(int(row["max_cost"]))),
        replace_after_s=row["replace_after"],
        nonce=row["nonce"],
        state=IntentState(row["state"]),
        created_at=row["created_at"],
        attempts=attempts,
        outcome=outcome,
        abandoned_because=reason,
        settled=row["settled"],
        settled_at=row["settled_at"],
    )
