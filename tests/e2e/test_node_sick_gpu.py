"""A GPU that fails under load, in a whole agent over the NVML stand-in: only its work moves, until it is well again."""

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import AsyncExitStack

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.wire.gateway import SegmentReport
from tests.builders.agents import an_agent
from tests.builders.gateways import a_stream, a_stream_client
from tests.nvml import stub

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
B = "GPU-bbbbbbbb-0000-0000-0000-000000000002"

# The agent as it is, but for what no machine without a card has: the stand-in's GPUs encode by the CPU, and there is
# CPU for two streams on one of them, whoever else uses this machine.
AGENT = """
import sys
from dataclasses import replace
from functools import partial
from livefleet.cli import main
from livefleet.media import DeviceKind
from livefleet.roles import transcoding

devices_for = transcoding.devices_for
transcoding.devices_for = lambda *given: tuple(replace(d, kind=DeviceKind.CPU, slots=8) for d in devices_for(*given))
transcoding.LocalTranscoder = partial(transcoding.LocalTranscoder, cores=64.0)
main(["agent", "run", sys.argv[1]])
"""


@pytest.fixture
def nvml(tmp_path):
    library = stub.build(tmp_path / "nvml")
    state = stub.NvmlState(tmp_path / "nvml.state")
    state.gpu(0, A)
    state.gpu(1, B)
    search = os.pathsep.join(filter(None, [str(library.parent), os.environ.get("LD_LIBRARY_PATH")]))
    return state, {"LD_LIBRARY_PATH": search, "LIVEFLEET_NVML_STATE": str(state.path)}


def start(agent, *, ready=True):
    with (agent.root / "agent.log").open("ab") as log:
        agent.process = subprocess.Popen(
            [sys.executable, "-c", AGENT, str(agent.node_yaml)],
            stdout=log, stderr=log, env=os.environ | {"GRPC_ENABLE_FORK_SUPPORT": "false"} | agent.env,
            start_new_session=True,
        )  # fmt: skip
    if ready:
        agent.wait_ready()


def on(status, device):
    (found,) = [one for one in status["load"]["devices"] if one["device"] == device]
    return found


def gpu(status, uuid):
    (found,) = [one for one in status["gpus"] if one["gpu"] == uuid]
    return found


def emptied(status, device):
    return on(status, device)["emptied"] and not on(status, device)["sessions"]


def in_service(status, device):
    return gpu(status, device)["state"] in {"healthy", "watch"} and not on(status, device)["emptied"]


async def keep_sending(client, segments, source, outcomes, stop):
    """One segment after the other, as a live stream comes."""
    for segment in segments:
        if stop.is_set():
            return
        began = time.monotonic()
        async for outcome in client.run([segment], source=source):
            outcomes.append(outcome)
        await asyncio.sleep(max(0.0, 0.5 - (time.monotonic() - began)))


async def until(agent, what, holds):
    return await asyncio.to_thread(agent.until, what, holds)


async def drained_within(agent, device, fault):
    """Seconds from the fault to the device's being empty, as /status says."""
    began = time.monotonic()
    fault()
    await until(agent, f"{device} is emptied", lambda status: emptied(status, device))
    return time.monotonic() - began


async def under_load(agent, state):
    segments, source = a_stream(40, height=144)
    stop, sent = asyncio.Event(), [[], []]
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(a_stream_client(agent.service_uri, None)) for _ in sent]
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for stream, outcomes in zip(streams, sent, strict=True):
            group.create_task(keep_sending(stream, segments, source, outcomes, stop))
        await until(
            agent,
            "a session on each",
            lambda s: [on(s, d)["sessions"] for d in (A, B)] == [1, 1] and sum(map(len, sent)) > 3,
        )

        took_s = [await drained_within(agent, A, lambda: state.event(0, 79))]
        now = await asyncio.to_thread(agent.status)
        assert (on(now, B)["sessions"], now["ready"]) == (2, True)
        state.gpu(0, A, error=15)
        await until(agent, "NVML says so too", lambda s: gpu(s, A)["reason"] in {"GpuLost", "FallenOffTheBus"})
        count = sum(map(len, sent))
        await until(agent, "both go on", lambda _: sum(map(len, sent)) >= count + 4)
        state.gpu(0, A, error=0)
        await until(agent, "it is back", lambda s: in_service(s, A))

        # No report this time: NVML alone says it, of the one that has both by now.
        took_s.append(await drained_within(agent, B, lambda: state.gpu(1, B, error=16)))
        await until(agent, "both are on the other", lambda s: on(s, A)["sessions"] == 2)
        count = sum(map(len, sent))
        await until(agent, "both go on", lambda _: sum(map(len, sent)) >= count + 4)
        state.gpu(1, B, error=0)
        await until(agent, "it is back", lambda s: in_service(s, B))
        stop.set()
    return took_s, sent


def test_gpu_that_fails_under_load__its_session_moves__no_segment_is_lost__and_it_comes_back(nvml, tmp_path, capsys):
    state, environment = nvml
    with an_agent(
        tmp_path / "node",
        env=environment,
        start=False,
        role="orchestrator",
        network={"name": "offchain"},
        duties={"transcoding": {"max_sessions": 10, "max_load": 1.0}},
        gpus=[A, B],
        monitoring={"sample_every_s": 0.5},
        gpu_health={"hold_s": 1.0},
    ) as agent:
        start(agent)
        took_s, sent = asyncio.run(under_load(agent, state))
        with capsys.disabled():
            print(f"\nfault to drained: {', '.join(f'{s:.2f} s' for s in took_s)}; segments {[len(s) for s in sent]}")
        assert max(took_s) < 2
        for outcomes in sent:
            assert outcomes
            assert all(isinstance(one, SegmentReport) and not one.problems for one in outcomes)
        assert agent.metric("livefleet_gpu_state", gpu=A, state="healthy") == 1
        assert [agent.metric("livefleet_gpu_set_aside_total", gpu=uuid) for uuid in (A, B)] == [1, 1]

        # What needs a person outlives the agent.
        state.event(0, 64)
        sick = agent.until_condition("GpuHealthy", "RowRemapFailed", subject=A)
        assert (sick["status"], "gpu clear" in sick["advice"]) == ("false", True)
        assert agent.get("/readyz")[0] == 200
        assert agent.until_condition("GpuMemorySound", "RowRemapFailed", subject=A)["status"] == "false"
        assert agent.stop() == 0
        kept = json.loads((agent.root / "var/lib/livefleet/gpu-health.json").read_text())["gpus"]
        assert kept[A]["latch"]["key"] == "xid-64"
        start(agent)
        assert on(agent.status(), A)["emptied"]
        assert agent.until_condition("GpuHealthy", "RowRemapFailed", "Quarantined", subject=A)["status"] == "false"

        def run(*arguments):
            return CliRunner().invoke(main, ["agent", "gpu", *arguments, str(agent.node_yaml)])

        shown = run("show")
        assert (shown.exit_code, f"{A}: replace (RowRemapFailed)" in shown.stdout) == (1, True)
        unknown = run("clear", "GPU-unknown")
        assert (unknown.exit_code, f"the node has {A}, {B}" in unknown.stderr) == (2, True)
        cleared = run("clear", A)
        assert cleared.exit_code == 0, cleared.output
        agent.until("it is back", lambda status: in_service(status, A))
        assert run("show").exit_code == 0
        assert agent.stop() == 0

        # The driver is loaded late: the CPU stands in, and the GPUs join.
        state.set(init=9)
        start(agent, ready=False)
        agent.until("the CPU works", lambda s: [d["device"] for d in s.get("load", {}).get("devices", ())] == ["cpu"])
        assert agent.until_condition("GpuDriver", "DriverNotLoaded")["status"] == "false"
        state.set(init=0)
        agent.until("the GPUs join", lambda s: [d["device"] for d in s["load"]["devices"]] == ["cpu", A, B])
        agent.until_condition("TranscoderReady", "Ready", subject=B)
        agent.wait_ready()
        assert agent.stop() == 0
