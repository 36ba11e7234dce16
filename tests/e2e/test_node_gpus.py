"""Declared GPUs against present ones, in a whole agent over the NVML stand-in."""

import json
import os

import pytest

from tests.builders.agents import an_agent
from tests.nvml import stub

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
B = "GPU-bbbbbbbb-0000-0000-0000-000000000002"


@pytest.fixture
def nvml(tmp_path):
    library = stub.build(tmp_path / "nvml")
    state = stub.NvmlState(tmp_path / "nvml.state")
    state.gpu(0, A, mem_used=3 << 30, temp=61)
    state.gpu(1, B, name="NVIDIA RTX 4090")
    search = os.pathsep.join(filter(None, [str(library.parent), os.environ.get("LD_LIBRARY_PATH")]))
    return state, {"LD_LIBRARY_PATH": search, "LIVEFLEET_NVML_STATE": str(state.path)}


def test_gpu__taken_out_and_put_back__readiness_and_metrics_follow(nvml, tmp_path):
    state, environment = nvml
    with an_agent(
        tmp_path / "node",
        env=environment,
        role="orchestrator",
        network={"name": "offchain"},
        duties={"transcoding": {"encoder": "software"}},
        gpus=[A, B],
        driver={"min_version": "570.26"},
        monitoring={"sample_every_s": 0.3},
    ) as agent:
        fast = agent.until_condition("GpuPresent", "Present", subject=B)
        assert fast["status"] == "true"
        assert fast["message"].startswith("NVIDIA RTX 4090")
        assert agent.until_condition("GpuDriver", "Loaded")["message"].startswith("driver 580.65.06")
        assert agent.metric("livefleet_gpus_present") == 2
        assert agent.metric("livefleet_gpu_memory_used_bytes", gpu=A) == 3 << 30
        assert agent.metric("livefleet_gpu_temperature_celsius", gpu=A) == 61
        assert agent.metric("livefleet_condition_status", condition="GpuPresent", subject=B) == 1

        def reported(_):
            state.event(1, 31)
            return agent.metric("livefleet_gpu_xids_total", gpu=B, code="31")

        agent.until("a report of B", reported)
        assert agent.metric("livefleet_gpu_last_xid_seconds", gpu=B, code="31") is not None
        assert agent.metric("livefleet_gpu_xids_total", gpu=A, code="31") is None

        state.unplug(1)
        gone = agent.until_condition("GpuPresent", "Missing", subject=B)
        assert gone["status"] == "false"
        assert A in gone["message"]  # what is there instead
        code, body = agent.get("/readyz")
        assert code == 503
        assert [(c["name"], c["subject"]) for c in json.loads(body)["blocking"]] == [("GpuPresent", B)]
        assert agent.get("/healthz")[0] == 200
        assert agent.metric("livefleet_gpus_present") == 1
        assert agent.metric("livefleet_condition_status", condition="GpuPresent", subject=B) == 0
        assert agent.metric("livefleet_node_ready") == 0

        state.gpu(1, B, error=15)  # listed, but fallen off the bus: it cannot even tell its UUID
        lost = agent.until_condition("GpuPresent", "GpuLost", subject="index 1")
        assert lost["status"] == "false"
        state.gpu(1, B, error=0)
        agent.until_condition("GpuPresent", "Present", subject=B)
        agent.wait_ready()
        assert {c["subject"] for c in agent.status()["conditions"] if c["name"] == "GpuPresent"} == {A, B}
        assert agent.metric("livefleet_gpus_present") == 2
        assert agent.metric("livefleet_gpu_last_xid_seconds", gpu=B, code="31") is None  # it came back from away
        assert agent.metric("livefleet_gpu_xids_total", gpu=B, code="31") is not None

        state.gpu(0, A, hang_ms=600_000)
        agent.until_condition("GpuPresent", "NotAnswering", subject=A)
        agent.until_condition("GpuPresent", "Present", subject=B)
        assert agent.get("/healthz")[0] == 200
        assert agent.stop() == 0  # nobody waits for a call that is stuck


def test_gpu__driver_too_old__is_not_ready_and_says_why(nvml, tmp_path):
    state, environment = nvml
    state.driver = "535.54.03"
    state.write()
    with an_agent(
        tmp_path / "node",
        env=environment,
        start=False,
        role="orchestrator",
        network={"name": "offchain"},
        driver={"min_version": "570.26"},
        monitoring={"sample_every_s": 0.3},
    ) as agent:
        agent.start(ready=False)
        old = agent.until_condition("GpuDriver", "TooOld")
        assert old["message"] == "driver 535.54.03 is older than the declared minimum 570.26"
        agent.until_condition("FrontDoorOpen", "Listening")
        assert agent.get("/readyz")[0] == 503
        state.driver = "580.65.06"
        state.write()
        agent.wait_ready()
