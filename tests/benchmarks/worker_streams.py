"""What held worker streams keep in memory: `python -m tests.benchmarks.worker_streams`.

500 RegisterTranscoder streams at a node, and as many at grpc.aio with nothing behind it, each behind the same nginx and
in a process of its own, in turn. Each worker has a connection of its own, as workers have.
"""

import asyncio
import os
import ssl
import sys
from contextlib import AsyncExitStack

import grpc

from livefleet.wire import Capabilities
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.proto import lp_rpc_pb2_grpc as rpc
from livefleet.wire.translate import capabilities_to_proto
from tests.benchmarks._doors import WORKER_SECRET, Doors, open_doors
from tests.builders.wire import TRANSCODING_IDS

WORKERS = 500
WARM = 20
ROUNDS = 2
SETTLE_S = 3
MUST_KB, AIM_KB = 120, 70


async def held_kb(doors: Doors, uri: str) -> float:
    """Memory a worker, in KB, that the process behind the door has more with all of them than with none."""
    registration = pb.RegisterRequest(
        secret=WORKER_SECRET, capacity=2, capabilities=capabilities_to_proto(Capabilities.of(TRANSCODING_IDS))
    )
    endpoint = parse_endpoint(uri)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        certificate = await asyncio.to_thread(ssl.get_server_certificate, (endpoint.host, endpoint.port))
        credentials = grpc.ssl_channel_credentials(root_certificates=certificate.encode())
        streams = []

        async def join(workers: int) -> None:
            for _ in range(workers):
                channel = grpc.aio.secure_channel(str(endpoint), credentials, [("grpc.use_local_subchannel_pool", 1)])
                await stack.enter_async_context(channel)
                await channel.channel_ready()
                stream = rpc.TranscoderStub(channel).RegisterTranscoder(registration)
                streams.append((stream, group.create_task(stream.read())))
            await asyncio.sleep(SETTLE_S)  # a stream that is held answers nothing
            if ended := [stream for stream, reading in streams if reading.done()]:
                raise RuntimeError(f"{len(ended)} streams have ended: {await ended[0].details()}")

        await join(WARM)
        before = doors.rss_kb()
        await join(WORKERS)
        held = (doors.rss_kb() - before) / WORKERS
        for _, reading in streams:
            reading.cancel()
        return held


def main() -> int:
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    node = []
    for _ in range(ROUNDS):
        row = {}
        for name in ("bare", "node"):
            with open_doors() as doors:
                row[name] = asyncio.run(held_kb(doors, getattr(doors, name)))
        node.append(row["node"])
        print(
            f"{WORKERS} workers: {row['node']:.0f} KB each, grpcio alone {row['bare']:.0f} KB, "
            f"ratio {row['node'] / row['bare']:.2f}"
        )
    holds = min(node) <= MUST_KB
    print(f"must <= {MUST_KB} KB: {'met' if holds else 'MISSED'} (aim {AIM_KB} KB)")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
