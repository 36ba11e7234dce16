"""Play stock gateways against a whole paid orchestrator while it is restarted, killed and molested.

    .venv/bin/python -m tests.fault.stock_gateway [--minutes 10] [--streams 3] [--every 20] [--calm]

Prints a table; the exit code is 1 if a gateway would have had reason to leave.
"""

import argparse
import asyncio
import itertools
import random
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from livefleet.media import Profile
from livefleet.wire.channel import parse_endpoint
from tests.builders.gateways import a_stream
from tests.builders.paid_nodes import PaidNode, a_paid_node
from tests.fault.faults import Faults, hostile_clients
from tests.fault.gateway import Stream, Target
from tests.fault.limits import Funds
from tests.fault.record import Record

PROFILES = (
    Profile(name="P144p30fps16x9", width=256, height=144, bitrate=400_000, fps=30),
    Profile(name="P240p30fps16x9", width=426, height=240, bitrate=600_000, fps=30),
)
DUTIES = {
    # Who is refused for want of room is another question than who is served while things break.
    "transcoding": {"encoder": "software", "max_load": 50},
    "redemption": {"check_every_s": 0.5},
}
SERVICE = {"stop_timeout_s": 9}  # a third of it streams go on as if nothing were


@dataclass(frozen=True)
class Play:
    """Streams that run, what may be done to their orchestrator, and what became of it."""

    record: Record
    faults: Faults


@asynccontextmanager
async def playing(
    node: PaidNode,
    *,
    streams: int,
    lives_s: tuple[float, float] = (25.0, 70.0),
    segment_s: float = 1,
    refresh_after_s: float = 90,
    seed: int = 1,
) -> AsyncIterator[Play]:
    """So many streams at a time on the node; each lives a while, and another takes its place."""
    endpoint = parse_endpoint(node.agent.service_uri)
    pem = await asyncio.to_thread(ssl.get_server_certificate, (endpoint.host, endpoint.port))
    target = Target(endpoint, ssl.PEM_cert_to_DER_cert(pem), await _funds(node))
    record = Record()
    source, _ = await asyncio.to_thread(a_stream, 5, seconds=segment_s)
    going = True
    names = itertools.count(1)
    rng = random.Random(seed)

    async def one_place() -> None:
        while going:
            ends = time.monotonic() + rng.uniform(*lives_s)
            stream = Stream(
                target,
                record,
                signer=node.gateway,
                profiles=PROFILES,
                source=source,
                name=f"stream-{next(names)}",
                refresh_after_s=refresh_after_s,
            )
            await stream.run(lambda ends=ends: going and time.monotonic() < ends)

    async def watch_chain() -> None:
        while True:
            target.funds = await _funds(node)
            await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(watch_chain())
        places = [group.create_task(one_place()) for _ in range(streams)]
        yield Play(record, Faults(node.agent, target, record))
        going = False
        await asyncio.wait(places)
        watcher.cancel()


async def _funds(node: PaidNode) -> Funds:
    chain = node.chain.client
    info = await chain.broker.sender_info(node.gateway.address, node.orchestrator.address)
    return Funds(await chain.rounds.block_num(), info.deposit, info.reserve_remaining, bool(info.withdraw_round))


async def play(folder: Path, *, minutes: float, streams: int, every_s: float, calm: bool) -> Record:
    """The whole story on a node of its own: every fault in turn, one each `every_s`."""
    async with a_paid_node(folder, round_length=2000, duties=DUTIES, service=SERVICE) as node:
        before = _memory_mb(node)
        async with AsyncExitStack() as stack:
            running = await stack.enter_async_context(playing(node, streams=streams))
            if not calm:
                await stack.enter_async_context(hostile_clients(node.agent.service_uri, running.record))
            await running.record.more(2 * streams)
            ends = time.monotonic() + 60 * minutes
            for fault in itertools.cycle(running.faults.all):
                await asyncio.sleep(max(0.0, min(every_s, ends - time.monotonic())))
                if time.monotonic() >= ends:
                    break
                if not calm:
                    await fault()
        print(f"memory of agent and nginx: {before} MB at the start, {_memory_mb(node)} MB at the end")
        return running.record


def _memory_mb(node: PaidNode) -> int:
    return sum(resident_mb(process.pid) for process in node.agent.family())


def resident_mb(pid: int) -> int:
    """What a process holds; nothing once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--streams", type=int, default=3)
    options.add_argument("--every", type=float, default=20, help="seconds between two faults")
    options.add_argument("--calm", action="store_true", help="no faults")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="lf", dir="/tmp") as folder:
        record = asyncio.run(
            play(Path(folder), minutes=given.minutes, streams=given.streams, every_s=given.every, calm=given.calm)
        )
    print(record.table())
    complaints = record.verdict(given.streams)
    print("\n".join(complaints) or "no gateway had reason to leave")
    return min(len(complaints), 1)


if __name__ == "__main__":
    sys.exit(main())
