"""What /segment costs beside the transcoding: `python -m tests.benchmarks.segment_overhead`.

2 MB go in with a ticket, a canned rendition of 1 MB is fetched: once at an on-chain node, once at a bare ASGI
application that reads the one and sends the other, behind the same nginx and in the same process, turn and turn about.
A request's CPU is that of this process and of the door's nginx. The protocol has every byte hashed once, in and out:
what that takes is measured apart, and told both ways.
"""

import asyncio
import os
import sys
import time
from itertools import count

import aiohttp

from livefleet.chain import keccak256
from livefleet.payments import Quote
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.translate import info_from_proto, outcome_from_proto
from tests.benchmarks._doors import RENDITION, Doors, ask_once, open_doors
from tests.builders.pairs import Pairs
from tests.builders.payments import pay
from tests.builders.wire import a_profile, credentials_for, work_headers

PAIRS = 12
REQUESTS = 25
SOURCE = bytes(range(256)) * 8192  # 2 MiB


class Gateway:
    """One paid session."""

    def __init__(self, doors: Doors, http: aiohttp.ClientSession, info) -> None:
        self._doors = doors
        self._http = http
        self._info = info
        self._numbers = count(1)

    def headers(self) -> dict[str, str]:
        number = next(self._numbers)
        payment = pay(Quote(self._info.price, self._info.ticket_params), [number])
        credentials = credentials_for(self._info.auth_token, SOURCE, sequence=number, profiles=(a_profile(),))
        return work_headers(credentials, payment)

    async def at_node(self, headers: dict[str, str]) -> None:
        async with self._http.post(f"{self._doors.node}/segment", data=SOURCE, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            outcome = outcome_from_proto(pb.TranscodeResult.FromString(await answer.read()))
        assert outcome.error is None, outcome.error
        async with self._http.get(outcome.renditions[0].url) as rendition:
            assert len(await rendition.read()) == len(RENDITION)

    async def at_bare(self, headers: dict[str, str]) -> None:
        async with self._http.post(f"{self._doors.bare}/segment", data=SOURCE, headers=headers) as answer:
            await answer.read()
        async with self._http.get(f"{self._doors.bare}/rendition") as rendition:
            assert len(await rendition.read()) == len(RENDITION)


def hashing_s() -> float:
    """CPU seconds that one request's hashes take."""
    began = time.thread_time()
    for _ in range(REQUESTS):
        keccak256(SOURCE)
        keccak256(RENDITION)
    return (time.thread_time() - began) / REQUESTS


async def measure(doors: Doors) -> bool:
    plain = Pairs("/segment over a bare ASGI application, CPU", at_most=True, aim=1.1)
    hashed = Pairs("the same where the bare one hashes too, CPU", must=1.3, aim=1.1, at_most=True)
    info = info_from_proto(await ask_once(doors.node))
    spent = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http:
        gateway = Gateway(doors, http, info)
        ways = {"node": gateway.at_node, "bare": gateway.at_bare}
        for way in ways.values():
            for _ in range(5):
                await way(gateway.headers())
        for turn in range(PAIRS):
            for name in ("node", "bare") if turn % 2 else ("bare", "node"):
                headers = [gateway.headers() for _ in range(REQUESTS)]
                before = doors.cpu_s(name)
                for each in headers:
                    await ways[name](each)
                spent[name] = (doors.cpu_s(name) - before) / REQUESTS
            hashing = hashing_s()
            plain.add(spent["node"] / spent["bare"])
            hashed.add(spent["node"] / (spent["bare"] + hashing))
    told = "; ".join(f"{name} {used * 1000:.1f} ms" for name, used in spent.items())
    plain.show(f"{told}; hashing {hashing * 1000:.1f} ms")
    hashed.show()
    return hashed.holds


def main() -> int:
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    with open_doors() as doors:
        return 0 if asyncio.run(measure(doors)) else 1


if __name__ == "__main__":
    sys.exit(main())
