"""Two front doors in one process, for benchmarks: an orchestrator's own, and one with nothing behind it.

Run as a program it opens both on one loop, as the agent does, tells where they are, and serves until its stdin closes.
The bare one is nginx of the same configuration before plain grpc.aio and a plain ASGI application.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import grpc
import uvloop

from livefleet.kernel import ConditionBoard, Pixels, SystemClock
from livefleet.media import Rendition, TranscodeResult
from livefleet.payments import RecoveryPool
from livefleet.spec import OrchestratorSettings
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.proto import lp_rpc_pb2_grpc as rpc
from livefleet.wire.server import OrchestratorServer
from livefleet.wire.server.front_door import FrontDoor
from livefleet.wire.signing import request_message
from livefleet.wire.tls import ensure_certificate
from tests.builders.payments import a_desk, some_prices
from tests.builders.wire import AUTH_SECRET, GATEWAY, ORCHESTRATOR, RecordingTranscoder, free_port

RENDITION = random.Random(1).randbytes(1_000_000)
WORKER_SECRET = "test-only"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Doors:
    """Where they are, and how to read what they cost."""

    node: str
    bare: str
    pid: int
    node_nginx: int
    bare_nginx: int

    def cpu_s(self, which: str) -> float:
        """CPU seconds so far: of the process behind both doors, and of one door's nginx."""
        nginx = self.node_nginx if which == "node" else self.bare_nginx
        children = Path(f"/proc/{nginx}/task/{nginx}/children").read_text().split()
        return _cpu_s(self.pid) + sum(_cpu_s(int(child)) for child in children)

    def rss_kb(self) -> int:
        """Memory of the process behind both doors."""
        line = next(x for x in Path(f"/proc/{self.pid}/status").read_text().splitlines() if x.startswith("VmRSS:"))
        return int(line.split()[1])


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def open_doors(*, price: int = 1, recovery: bool = True) -> Iterator[Doors]:
    """Both doors in a process of their own."""
    with tempfile.TemporaryDirectory(prefix="lf-", dir="/tmp") as folder:
        command = [sys.executable, "-m", "tests.benchmarks._doors", folder, str(price), str(int(recovery))]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield Doors(pid=process.pid, **json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()
            process.wait(timeout=60)
            process.stdout.close()


class CannedTranscoder(RecordingTranscoder):
    """Each rendition is the same megabyte."""

    async def transcode(self, job):
        size = Pixels(job.profiles[0].width * job.profiles[0].height * 60)
        return TranscodeResult(tuple(Rendition(RENDITION, size) for _ in job.profiles), size)


async def bare_app(scope, receive, send) -> None:
    """Reads what is sent, answers a megabyte to GET and a few bytes to POST."""
    while (await receive()).get("more_body"):
        pass
    body = RENDITION if scope["method"] == "GET" else b"taken" * 40
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class HeldStreams:
    """RegisterTranscoder with nothing behind it: the stream is held."""

    async def register(self, request, context) -> None:
        await context.send_initial_metadata(())
        await asyncio.Event().wait()


def bare_handlers(answer: pb.OrchestratorInfo) -> list:
    async def get_orchestrator(_request, _context):
        return answer

    orchestrator = grpc.unary_unary_rpc_method_handler(
        get_orchestrator, pb.OrchestratorRequest.FromString, pb.OrchestratorInfo.SerializeToString
    )
    register = grpc.unary_stream_rpc_method_handler(
        HeldStreams().register, pb.RegisterRequest.FromString, pb.NotifySegment.SerializeToString
    )
    return [
        grpc.method_handlers_generic_handler("net.Orchestrator", {"GetOrchestrator": orchestrator}),
        grpc.method_handlers_generic_handler("net.Transcoder", {"RegisterTranscoder": register}),
    ]


def signed_request() -> pb.OrchestratorRequest:
    raw = bytes.fromhex(GATEWAY.address[2:])
    return pb.OrchestratorRequest(address=raw, sig=GATEWAY.sign_message(request_message(raw)))


async def ask_once(uri: str) -> pb.OrchestratorInfo:
    """The node's own answer, which the bare door then gives too."""
    channel = await open_channel(parse_endpoint(uri), timeout_s=30)
    try:
        return await rpc.OrchestratorStub(channel).GetOrchestrator(signed_request(), timeout=30)
    finally:
        await channel.close()


async def serve(folder: Path, price: int, *, recovery: bool) -> None:
    clock, rng = SystemClock(), random.SystemRandom()
    node_port, bare_port = free_port(), free_port()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(RecoveryPool()) if recovery else None
        payments, *_ = await stack.enter_async_context(
            a_desk(folder / "store", prices=some_prices(video=Fraction(price)), clock=clock, recovery=pool)
        )
        node = OrchestratorServer(
            OrchestratorSettings(
                service_uri=f"https://127.0.0.1:{node_port}", listen=f"127.0.0.1:{node_port}", max_sessions=100
            ),
            payments=payments,
            signer=ORCHESTRATOR,
            auth_secret=AUTH_SECRET,
            state_dir=folder / "state",
            run_dir=folder / "node",
            board=ConditionBoard(clock),
            clock=clock,
            rng=rng,
            transcoder=CannedTranscoder(),
            local_sessions=100,
            worker_secret=WORKER_SECRET,
            drain_s=2,
            fetch_s=0.1,
            self_check_s=3600,
        )
        await stack.enter_async_context(node)
        answer = await ask_once(f"https://127.0.0.1:{node_port}")
        bare = FrontDoor(
            listen=f"127.0.0.1:{bare_port}",
            certificate=ensure_certificate(folder / "bare-tls", "127.0.0.1", clock),
            run_dir=folder / "bare",
            app=bare_app,
            handlers=bare_handlers(answer),
            board=ConditionBoard(clock),
            rng=rng,
            clock=clock,
            drain_s=2,
        )
        await stack.enter_async_context(bare)
        places = {
            "node": f"https://127.0.0.1:{node_port}",
            "bare": f"https://127.0.0.1:{bare_port}",
            "node_nginx": node.snapshot().nginx_pid,
            "bare_nginx": bare.nginx_pid,
        }
        print(json.dumps(places), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2]), recovery=bool(int(sys.argv[3]))))
