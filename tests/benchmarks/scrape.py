"""What a scrape of /metrics costs the loop: `python -m tests.benchmarks.scrape`.

An orchestrator's readings with 500 gateways that paid and were refused, 500 balances, 500 streams and 50 sessions open,
with streams told apart and not: CPU time of reading, for which gateways wait, and of writing the text in a thread.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

from prometheus_client import CollectorRegistry

from livefleet.health import Collected, ReadingCollector, exposition
from livefleet.kernel import ConditionBoard, SessionId, SystemClock
from livefleet.media import CPU, NO_LIMIT, LocalTranscoder, Profile
from livefleet.payments import BadPayment
from livefleet.roles.own_metrics import (
    own_device_readings,
    own_payment_readings,
    own_server_readings,
    own_store_readings,
)
from livefleet.roles.reference_metrics import (
    ai_readings,
    payment_readings,
    received_readings,
    redemption_readings,
    server_readings,
    transcoded_readings,
)
from livefleet.wire.server import Counters, ServerSnapshot
from tests.builders.payments import a_desk

SENDERS, SESSIONS, ROUNDS = 500, 50, 50
TARGET_MS = 50


def fill(payments, counters: Counters) -> None:
    """As after a busy day."""
    for number in range(SENDERS):
        sender, stream = f"0x{number:040x}", f"stream-{number}"
        payments._balances.change((sender, SessionId(stream)), Fraction(number + 1, 7))
        payments.counters.take(sender, tickets=9, value=1e15, winners=1)
        payments.counters.refuse(sender, BadPayment("no", kind="Some"))
        payments.counters.quote(sender, max_float=10**18, face_value=10**15)
        counters.work.take(stream, 2000)
        counters.work.downloads_s.observe(stream, value=0.1)
        counters.work.pixels.add(stream, by=10**7)
        counters.work.transcoded([Profile(f"P{number}", 640, 360, 10**6)], 2000, 0.5)
        counters.prices_given.set(sender, value=1200.0)


def a_snapshot() -> ServerSnapshot:
    fields = dict.fromkeys(ServerSnapshot.__dataclass_fields__, 0)
    return ServerSnapshot(**fields | {"workers": (), "ai_workers": (), "last_durations_s": (), "sessions": SESSIONS})


@asynccontextmanager
async def a_busy_node(folder: Path) -> AsyncIterator[Callable[[bool], CollectorRegistry]]:
    """Everything that such a node reads at a scrape; told apart by stream or not."""
    counters = Counters()
    transcoder = LocalTranscoder(
        [CPU], run_dir=folder / "media", board=ConditionBoard(SystemClock()), clock=SystemClock(),
        max_sessions=SESSIONS, max_load=NO_LIMIT,
    )  # fmt: skip
    for number in range(SESSIONS):
        assert transcoder.open_session(SessionId(f"s{number}"), [Profile("p", 640, 360, 10**6)])
    async with a_desk(folder / "store.sqlite3") as (payments, store, _, _):
        fill(payments, counters)

        def registry_of(per_stream: bool) -> CollectorRegistry:
            def read():
                now, paid = a_snapshot(), payments.snapshot()
                return [
                    *server_readings(now, counters, per_stream=per_stream),
                    *received_readings(counters.work, per_stream=per_stream),
                    *transcoded_readings(counters.work),
                    *ai_readings(counters.ai),
                    *own_server_readings(now, counters),
                    *own_device_readings(transcoder),
                    *payment_readings(paid, payments.counters, per_stream=per_stream),
                    *redemption_readings(paid.redeemed, None, per_stream=per_stream),
                    *own_payment_readings(paid),
                    *own_store_readings(store),
                ]

            registry = CollectorRegistry()
            registry.register(ReadingCollector(read, {"node_id": "host", "node_type": "orch"}))
            return registry

        yield registry_of


async def measure(folder: Path) -> int:
    worst = 0.0
    async with a_busy_node(folder) as registry_of:
        for per_stream in (False, True):
            registry = registry_of(per_stream)
            reading, writing, text = [], [], b""
            for _ in range(ROUNDS):
                started = time.process_time()
                collected = Collected(registry)
                read_at = time.process_time()
                text = exposition(collected)
                reading.append((read_at - started) * 1000)
                writing.append((time.process_time() - read_at) * 1000)
            on_loop, beside = statistics.median(reading), statistics.median(writing)
            worst = max(worst, on_loop)
            series = sum(not line.startswith(b"#") for line in text.splitlines())
            told = "told apart" if per_stream else "together"
            print(
                f"streams {told}: {series} series, {len(text)} B, {on_loop:.1f} ms on the loop, {beside:.1f} ms beside"
            )
    print(f"{worst:.1f} ms of at most {TARGET_MS} ms")
    return int(worst > TARGET_MS)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(asyncio.run(measure(Path(scratch))))
