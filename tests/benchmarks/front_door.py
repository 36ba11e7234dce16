"""What the front door's own work costs: `python -m tests.benchmarks.front_door`.

An on-chain node beside a bare door: the same nginx before plain grpc.aio that gives the same answer without looking,
both in one process, asked turn and turn about. A request's CPU is that of this process and of the door's nginx.
Then how quickly the node answers while gateways send payments as large as they get, with the process that checks their
signatures and without.
"""

import asyncio
import os
import statistics
import sys
import time
from contextlib import AsyncExitStack

import aiohttp
import grpc

from livefleet.payments import Quote
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2_grpc as rpc
from livefleet.wire.translate import info_from_proto
from tests.benchmarks._doors import Doors, open_doors, signed_request
from tests.builders.pairs import Pairs
from tests.builders.payments import pay
from tests.builders.wire import credentials_for, work_headers

PAIRS = 12
CALLS = 600
AT_ONCE = 16
LARGEST = 600
PAYERS = 2
QUESTIONS = 200
ROUNDS = 3


class Asker:
    """One gateway's channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._ask = rpc.OrchestratorStub(channel).GetOrchestrator
        self._request = signed_request()

    async def one(self):
        return await self._ask(self._request, timeout=30)

    async def many(self, calls: int) -> float:
        """Seconds for so many, `AT_ONCE` at a time."""

        async def some() -> None:
            for _ in range(calls // AT_ONCE):
                await self.one()

        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(some())
        return time.perf_counter() - began

    async def slowly(self, times: int) -> list[float]:
        """Milliseconds of each answer."""
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            await self.one()
            taken.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.01)
        return taken


async def an_asker(uri: str, stack: AsyncExitStack) -> Asker:
    channel = await open_channel(parse_endpoint(uri), timeout_s=30)
    stack.push_async_callback(channel.close)
    return Asker(channel)


async def compare_rates(doors: Doors) -> bool:
    rate = Pairs("GetOrchestrator over bare grpc.aio, requests a second", must=0.6, aim=0.85)
    cpu = Pairs("GetOrchestrator over bare grpc.aio, requests a CPU second", must=0.6, aim=0.85)
    last = {}
    async with AsyncExitStack() as stack:
        askers = {name: await an_asker(getattr(doors, name), stack) for name in ("node", "bare")}
        for asker in askers.values():
            await asker.many(CALLS // 2)
        for turn in range(PAIRS):
            for name in ("node", "bare") if turn % 2 else ("bare", "node"):
                before = doors.cpu_s(name)
                taken_s = await askers[name].many(CALLS)
                last[name] = (taken_s, doors.cpu_s(name) - before)
            rate.add(last["bare"][0] / last["node"][0])
            cpu.add(last["bare"][1] / last["node"][1])
    calls = CALLS // AT_ONCE * AT_ONCE
    told = [f"{name} {calls / wall:.0f}/s, {used / calls * 1e6:.0f} us" for name, (wall, used) in last.items()]
    rate.show("; ".join(told))
    cpu.show()
    return rate.holds and cpu.holds


async def beside_large_payments(doors: Doors) -> list[float]:
    """Answer times while large payments come in."""
    async with AsyncExitStack() as stack:
        asker = await an_asker(doors.node, stack)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)))
        headers = []
        for _ in range(PAYERS):
            info = info_from_proto(await asker.one())
            # The same payment again and again: all of its signatures are checked each time.
            payment = pay(Quote(info.price, info.ticket_params), range(1, LARGEST + 1))
            headers.append(work_headers(credentials_for(info.auth_token, b""), payment))
        answered = 0

        async def paying(head: dict[str, str]) -> None:
            nonlocal answered
            while True:
                async with http.post(f"{doors.node}/payment", headers=head) as answer:
                    text = (await answer.read()).decode(errors="replace")
                assert answer.status == 200 or "already seen" in text, text
                answered += 1

        async with asyncio.TaskGroup() as tasks:
            payers = [tasks.create_task(paying(head)) for head in headers]
            while answered < 2 * PAYERS:
                await asyncio.sleep(0.01)
            times = await asker.slowly(QUESTIONS)
            for payer in payers:
                payer.cancel()
        return times


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def main() -> int:
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    with open_doors() as doors:
        holds = asyncio.run(compare_rates(doors))
    better = Pairs(f"GetOrchestrator p99 beside payments of {LARGEST}: process/loop")
    rows = {}
    with open_doors(recovery=True) as pooled, open_doors(recovery=False) as inline:
        for _ in range(ROUNDS):
            rows = {
                "with the process": asyncio.run(beside_large_payments(pooled)),
                "on the loop": asyncio.run(beside_large_payments(inline)),
            }
            better.add(p99(rows["with the process"]) / p99(rows["on the loop"]))
    better.show()
    for name, values in rows.items():
        print(f"  {name:<18} p50 {statistics.median(values):6.1f} ms   p99 {p99(values):6.1f} ms")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
