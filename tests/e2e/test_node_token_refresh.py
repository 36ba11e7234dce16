"""A full agent and a stream that needs its next auth token, in a world whose clock the test can set forward."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from livefleet.kernel import OutsideWorld
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, SegmentReport
from livefleet.wire.gateway.discovery import get_orchestrator
from tests.builders.gateways import PROFILES, STRANGER, a_stream, a_stream_client, send
from tests.builders.paid_nodes import a_paid_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

LATER_S = 1700
"""A token lasts 1800 s, and gateways ask for the next one when 180 s are left."""

AGENT = """
import asyncio, signal, sys, time
from pathlib import Path
import uvloop
from livefleet.app import Agent
from livefleet.kernel import SystemClock
from livefleet.kernel.log import configure
from livefleet.spec import load_node, node_digest

node, ahead = Path(sys.argv[1]), Path(sys.argv[2])

class AheadClock(SystemClock):
    def now(self):
        return time.time() + (LATER_S if ahead.exists() else 0)

async def serve():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await Agent(spec, digest=node_digest(spec), release="test", clock=AheadClock()).run(stop)

spec = load_node(node)
configure(spec.monitoring.log_level)
uvloop.run(serve())
"""


def start(agent, ahead):
    """As `RunningAgent.start`, under the clock above."""
    with (agent.root / "agent.log").open("ab") as log:
        agent.process = subprocess.Popen(
            [sys.executable, "-c", AGENT.replace("LATER_S", str(LATER_S)), str(agent.node_yaml), str(ahead)],
            stdout=log,
            stderr=log,
            env=os.environ | {"GRPC_ENABLE_FORK_SUPPORT": "false"},
            start_new_session=True,
        )
    agent.wait_ready()


async def test_full_node__token_of_the_running_stream_ends__it_goes_on_and_nobody_else_comes_in(tmp_path):
    segments, source = a_stream(3)
    ahead = tmp_path / "ahead"
    duties = {"transcoding": {"encoder": "software", "max_sessions": 1}}

    def now():
        return time.time() + (LATER_S if ahead.exists() else 0)

    async with a_paid_node(tmp_path, start=False, duties=duties) as node:
        await asyncio.to_thread(start, node.agent, ahead)
        endpoint = parse_endpoint(node.agent.service_uri)

        async def is_capped(signer):
            with pytest.raises(OutsideWorld, match="OrchestratorCapped"):
                await get_orchestrator(endpoint, Payer(signer), None, timeout_s=30)

        async with a_stream_client(node.agent.service_uri, node.gateway, profiles=PROFILES[:1], now=now) as client:
            outcomes = await send(client, segments[:1], source)
            first = client.info.auth_token.session_id
            await is_capped(node.gateway)
            ahead.touch()
            await is_capped(STRANGER)
            outcomes += await send(client, segments[1:], source)
            report = client.report(outcomes)
            assert client.info.auth_token.session_id != first
            await is_capped(node.gateway)
            assert node.agent.status()["server"]["sessions"] == 1
        assert all(isinstance(outcome, SegmentReport) for outcome in outcomes), outcomes
        assert (report.ok, report.retries) == (True, 0)
        assert node.agent.until("no session", lambda status: not status["server"]["sessions"])
