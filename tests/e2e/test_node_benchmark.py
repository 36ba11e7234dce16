"""A node that measures itself before it serves."""

import json

import pytest

from tests.builders.agents import an_agent

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

LADDER = {"ladder": ["256x144@10:100k"], "source": "320x180", "seconds": 2, "budget_s": 0.1}


def a_node(root, **benchmark):
    return an_agent(
        root,
        role="orchestrator",
        network={"name": "offchain"},
        gpus="none",
        duties={"transcoding": {"encoder": "software", "max_sessions": "auto", "benchmark": LADDER | benchmark}},
        start=False,
    )


def test_unmeasured_node__measures_then_serves__and_again_only_after_a_change(tmp_path):
    record = tmp_path / "var/lib/livefleet/benchmark.json"
    with a_node(tmp_path) as agent:
        agent.start(timeout_s=120)
        assert agent.until_condition("BenchmarkCurrent", "Measured")["status"] == "true"
        first = json.loads(record.read_text())["devices"][0]
        assert first["limit"] >= 1
        assert "benchmark.started" in agent.log()
    with a_node(tmp_path) as again:
        again.start(timeout_s=120)
        again.until_condition("BenchmarkCurrent", "Measured")
        assert again.log().count("benchmark.started") == 1  # the log of both lives
    with a_node(tmp_path, up_mbit=0.01) as slower:
        slower.start(timeout_s=120)
        why = slower.until_condition("BenchmarkCurrent", "HoldsNone")
        assert "not one session" in why["message"]
        second = json.loads(record.read_text())["devices"][0]
        assert (second["limit"], second["hardware_limit"] >= 1) == (0, True)  # the network's word


def test_measuring__stopped_meanwhile__leaves_no_process(tmp_path):
    with a_node(tmp_path, seconds=60, budget_s=300) as agent:
        agent.start(ready=False)
        agent.until_condition("BenchmarkCurrent", "Measuring")
        family = agent.family()
        assert len(family) > 1
        assert agent.get("/readyz")[0] == 503
        agent.stop()
        assert not [process for process in family if process.is_alive()]
