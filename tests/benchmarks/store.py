"""What durability costs: `python -m tests.benchmarks.store`.

Payments of one ticket, a parameter set each, from `take` to durable, into PostgreSQL on this machine's loopback against
SQLite on the same disk, turn and turn about: one at a time (two flushes compared), and 1, 16 and 64 gateways at once,
which share commits. The server is the tests' own, with fsync and synchronous_commit on.
"""

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import uvloop

from livefleet.chain import Postgres
from livefleet.kernel import SessionId
from livefleet.payments import PostgresStore, SqliteStore
from livefleet.payments.records import PaymentRecord
from tests.builders.pairs import Pairs
from tests.builders.payments import GATEWAY
from tests.builders.postgres import a_postgres

ROUNDS = 7
EACH = {1: 60, 16: 400, 64: 1200}
numbers = itertools.count(1)


def main() -> None:
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch, a_postgres() as server:
        uvloop.run(measure(Path(scratch), server.database()))


async def measure(scratch: Path, url: str) -> None:
    async with (
        SqliteStore(scratch / "store.sqlite3") as sqlite,
        Postgres(url, tls=None) as database,
        PostgresStore(database, name="bench/node") as postgres,
    ):
        for at_once, payments in EACH.items():
            rates: dict[str, list[float]] = {"PostgreSQL": [], "SQLite": []}
            pairs = Pairs(f"{at_once:3} at once: PostgreSQL over SQLite, payments a second")
            for _ in range(ROUNDS):
                for name, store in (("PostgreSQL", postgres), ("SQLite", sqlite)):
                    rates[name].append(await rate(store, at_once, payments))
                pairs.add(rates["PostgreSQL"][-1] / rates["SQLite"][-1])
            pairs.show(", ".join(f"{name} {statistics.median(found):.0f}/s" for name, found in rates.items()))


async def rate(store, at_once: int, payments: int) -> float:
    """Durable payments a second."""
    left = iter(range(payments))

    async def gateway(name: int) -> None:
        for _ in left:
            await store.take(a_payment(name), lambda _: None)

    started = time.perf_counter()
    await asyncio.gather(*(gateway(name) for name in range(at_once)))
    return payments / (time.perf_counter() - started)


def a_payment(gateway: int) -> PaymentRecord:
    return PaymentRecord(
        account=(GATEWAY, SessionId(f"session-{gateway}")),
        recipient_rand_hash=next(numbers).to_bytes(32, "big"),
        expiration_block=100,
        nonces=(1,),
        ticket_value=Fraction(10**15, 3),
        winners=(),
        fixed_price=None,
        at=5.0,
    )


if __name__ == "__main__":
    main()
