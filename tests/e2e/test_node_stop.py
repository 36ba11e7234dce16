"""A whole agent with every kind of child process, told to stop while it works."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from livefleet.media.inspection import inspect
from livefleet.media.ladder import STANDARD
from tests.builders.agents import an_agent
from tests.builders.ai import MODEL_ID
from tests.builders.gateways import SingleRequests, a_stream

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

MODEL_START_S = 150


def command_of(process):
    return Path(f"/proc/{process.pid}/cmdline").read_text().replace("\0", " ")


async def test_stop__segment_under_way__its_result_arrives_and_no_process_is_left(tmp_path):
    root = tmp_path / "node"
    model = root / "var/lib/livefleet/models/tiny"
    subprocess.run([sys.executable, "-m", "livefleet.ai.tiny", str(model)], check=True, timeout=MODEL_START_S)
    with an_agent(
        root,
        start=False,
        role="orchestrator",
        network={"name": "offchain"},
        gpus="none",
        duties={"transcoding": {"encoder": "software"}, "ai": True},
        models=[{"pipeline": "text-to-image", "model_id": MODEL_ID, "source": "models/tiny"}],
    ) as agent:
        await asyncio.to_thread(agent.start, timeout_s=MODEL_START_S)
        family = agent.family()
        commands = [command_of(process) for process in family]
        for program in ("agent run", "livefleet.media.worker", "livefleet.ai.runner", "nginx: master", "nginx: worker"):
            assert any(program in command for command in commands), commands

        (segment,), _ = a_stream(1, seconds=4, height=720)
        async with SingleRequests(agent.service_uri, None, [STANDARD["P720p30fps16x9"]]) as gateway:
            posted = asyncio.create_task(gateway.post(segment, ""))
            await asyncio.to_thread(agent.until, "the segment under way", lambda s: s["server"]["sessions"] == 1)
            assert not posted.done()
            stopping = asyncio.create_task(asyncio.to_thread(agent.stop, 60))
            status, _, result = await posted
            assert (status, result.error) == (200, "")
            (rendition,) = result.data.segments
            async with httpx.AsyncClient(verify=False, timeout=20) as http:
                fetched = await http.get(rendition.url)  # over a connection of its own: the door is open for this still
            assert fetched.status_code == 200
            assert inspect(fetched.content).pixels == rendition.pixels
            assert await stopping == 0
        assert agent.get("/healthz")[0] == 0
        assert [process.pid for process in family if not process.wait_gone(5)] == []
        assert "Traceback" not in agent.log()
