"""A whole orchestrator server on loopback: real nginx, real gRPC, real HTTP."""

import contextlib
import tempfile
from pathlib import Path

import httpx
import pytest

from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.spec import OrchestratorSettings
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.messages import OrchestratorRequest
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.server import OrchestratorServer
from livefleet.wire.signing import request_message
from livefleet.wire.translate import info_from_proto, outcome_from_proto, request_to_proto
from tests.builders.wire import AUTH_SECRET, GATEWAY, FreePayments, a_rng, free_port


class Orchestrator:
    """A running server with a gateway's hands."""

    def __init__(self, server, uri, http, board, run_dir):
        self.server = server
        self.uri = uri
        self.http = http
        self.board = board
        self.run_dir = run_dir

    async def call(self, method, message, answer):
        channel = await open_channel(parse_endpoint(self.uri), timeout_s=10)
        try:
            stub = channel.unary_unary(
                f"/net.Orchestrator/{method}",
                request_serializer=type(message).SerializeToString,
                response_deserializer=answer.FromString,
            )
            return await stub(message, timeout=20)
        finally:
            await channel.close(None)

    def signed(self, capabilities=None):
        raw = bytes.fromhex(GATEWAY.address[2:])
        return OrchestratorRequest(raw, GATEWAY.sign_message(request_message(raw)), capabilities)

    async def info(self, request=None):
        """A signed request; off-chain nobody looks."""
        message = request_to_proto(request or self.signed())
        return info_from_proto(await self.call("GetOrchestrator", message, pb.OrchestratorInfo))

    async def segment(self, source, headers):
        response = await self.http.post(f"{self.uri}/segment", content=source, headers=headers)
        assert response.status_code == 200, response.text
        return outcome_from_proto(pb.TranscodeResult.FromString(response.content))

    def condition(self, name):
        return next((c for c in self.board.all() if c.name == name), None)


@pytest.fixture
def run_dir():
    # pytest's own folders make paths that are too long for unix sockets; the space is for nginx to cope with
    with tempfile.TemporaryDirectory(prefix="lf ", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
async def serve(run_dir):
    """`await serve(transcoder=..., payments=..., ...)` opens a server that the test's end closes."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            *,
            payments=None,
            signer=None,
            max_sessions=10,
            port=None,
            local_sessions=10,
            nodes=("https://other:1",),
            clock=None,
            **parts,
        ):
            port = port or free_port()
            uri = f"https://127.0.0.1:{port}"
            board = ConditionBoard(SystemClock())
            server = OrchestratorServer(
                OrchestratorSettings(
                    service_uri=parts.pop("service_uri", uri),
                    listen=f"127.0.0.1:{port}",
                    max_sessions=max_sessions,
                    nodes=nodes,
                    peer_networks=parts.pop("peer_networks", ()),
                    discovery_only=parts.pop("discovery_only", False),
                ),
                payments=payments or FreePayments(),
                signer=signer,
                auth_secret=AUTH_SECRET,
                state_dir=run_dir / f"state-{port}",
                run_dir=run_dir / f"run-{port}",
                board=board,
                clock=clock or SystemClock(),
                rng=a_rng(),
                local_sessions=local_sessions,
                drain_s=parts.pop("drain_s", 5),
                fetch_s=parts.pop("fetch_s", 0.1),
                self_check_s=parts.pop("self_check_s", 3600),
                **parts,
            )
            await stack.enter_async_context(server)
            http = await stack.enter_async_context(httpx.AsyncClient(verify=False, timeout=30))
            return Orchestrator(server, uri, http, board, run_dir / f"run-{port}")

        yield start
