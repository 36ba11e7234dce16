"""Whole agents that are emptied by the command on their machine and from the operator's desk, and serve again."""

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
from ruamel.yaml import YAML

from livefleet.kernel import OutsideWorld
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, SegmentReport
from livefleet.wire.gateway.discovery import get_orchestrator
from tests.builders.agents import an_agent, free_port
from tests.builders.gateways import a_stream, a_stream_client, send
from tests.builders.upgrades import PROFILES, drain

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@contextmanager
def a_node(root, **settings):
    """An orchestrator with the CPU as its only device."""
    with an_agent(
        root,
        role="orchestrator",
        network={"name": "offchain"},
        gpus="none",
        duties={"transcoding": {"encoder": "software"}},
        **settings,
    ) as agent:
        yield agent


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with a_node(tmp_path_factory.mktemp("drain") / "node") as agent:
        yield agent


async def discover(node):
    return await get_orchestrator(parse_endpoint(node.service_uri), Payer(None), None)


def in_service(node):
    return next(c for c in node.status()["conditions"] if (c["name"], c["subject"]) == ("InService", ""))


async def until_reason(node, reason):
    return await asyncio.to_thread(node.until_condition, "InService", reason, subject="")


async def test_drain__running_stream_goes_on_and_nobody_else_comes_in(node):
    segments, source = a_stream(3)
    async with a_stream_client(node.service_uri, None, profiles=PROFILES) as client:
        (first,) = await send(client, segments[:1], source)
        assert isinstance(first, SegmentReport), first
        await asyncio.to_thread(drain, node, "--deadline", "5m", "--reason", "new disk")
        said = await until_reason(node, "Draining")
        assert said["message"].startswith("draining (new disk): 1 session(s)")
        with pytest.raises(OutsideWorld, match="OrchestratorCapped"):
            await discover(node)
        (second,) = await send(client, segments[1:2], source)
        assert isinstance(second, SegmentReport), second
        scope = node.status()["drain"]["scopes"][0]
        assert (scope["sessions"], scope["state"], scope["reason"]) == (1, "draining", "new disk")
        assert 0 < scope["deadline_in_s"] <= 300
        assert node.metric("livefleet_drain_state") == 1
        assert node.metric("livefleet_drain_sessions_left", scope="node") == 1
        assert node.get("/readyz")[0] == 200  # an upgrade of a drained node has to be able to end
    await until_reason(node, "Drained")
    assert node.metric("livefleet_drain_state") == 2
    await asyncio.to_thread(drain, node, "--off")
    await until_reason(node, "InService")
    await discover(node)


async def test_drain__deadline_passes__the_stream_is_sent_elsewhere(node):
    (first, second), source = a_stream(2)
    async with a_stream_client(node.service_uri, None, profiles=PROFILES, retry_wait_s=0.01) as client:
        assert isinstance((await send(client, [first], source))[0], SegmentReport)
        done = await asyncio.to_thread(drain, node, "--deadline", "0", "--wait", "--json")
        assert json.loads(done.stdout)["report"]["state"] == "drained"
        assert await send(client, [second], source) == [(second.sequence, "403 OrchestratorCapped")]
    await asyncio.to_thread(drain, node, "--off")
    await until_reason(node, "InService")


async def test_drain__only_device__counts_as_the_node(node):
    await asyncio.to_thread(drain, node, "--device", "cpu", "--deadline", "1m", "--wait")
    assert node.status()["drain"]["state"] == "drained"
    await until_reason(node, "Drained")
    with pytest.raises(OutsideWorld, match="OrchestratorCapped"):
        await discover(node)
    done = await asyncio.to_thread(drain, node, "--device", "GPU-9", check=False)
    assert (done.returncode, done.stderr.strip()) == (2, "no device GPU-9; the node transcodes on cpu")
    await asyncio.to_thread(drain, node, "--off", "--device", "cpu")
    await until_reason(node, "InService")
    await discover(node)


async def test_drained_node__agent_is_restarted__stays_drained_until_it_is_taken_back(tmp_path):
    with a_node(tmp_path / "node", start=False) as node:
        state = tmp_path / "node/var/lib/livefleet"
        state.mkdir(parents=True)
        done = await asyncio.to_thread(drain, node)
        assert "no agent runs; it goes by this once it does" in done.stdout
        assert (state / "drain.json").stat().st_mode & 0o777 == 0o600
        await asyncio.to_thread(node.start)
        await until_reason(node, "Drained")
        with pytest.raises(OutsideWorld, match="OrchestratorCapped"):
            await discover(node)


async def test_stop__stream_goes_on__it_may_end_by_itself(tmp_path):
    """SIGTERM under a stream: its next segments are still taken, nobody else's are."""
    segments, source = a_stream(3)
    with a_node(tmp_path / "node") as node:
        async with a_stream_client(node.service_uri, None, profiles=PROFILES) as client:
            assert isinstance((await send(client, segments[:1], source))[0], SegmentReport)
            stopping = asyncio.create_task(asyncio.to_thread(node.stop, 60))
            await asyncio.to_thread(node.until_condition, "FrontDoorOpen", "Draining")
            with pytest.raises(OutsideWorld, match="OrchestratorCapped"):
                await discover(node)
            for outcome in await send(client, segments[1:], source):
                assert isinstance(outcome, SegmentReport), outcome
        assert await stopping == 0
        assert "Traceback" not in node.log()


def desk(fleet, *words):
    """`livefleet drain` at the operator's desk."""
    return subprocess.run(
        [sys.executable, "-m", "livefleet", "drain", str(fleet), *words], capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def fleet(node, tmp_path):
    """The node as a host of a fleet, as `apply` would have left it, beside one that is away."""
    root = node.root
    program = root / "opt/livefleet/current/venv/bin/livefleet"
    if not program.exists():
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m livefleet "$@"\n')
        program.chmod(0o755)
        (root / "etc/livefleet").mkdir(parents=True)
        (root / "etc/livefleet/node.yaml").symlink_to(node.node_yaml)
    port = free_port()
    hosts = {
        "node": {
            "address": "@local",
            "root": str(root),
            "role": "orchestrator",
            "orchestrator": {"service_uri": node.service_uri},
            "monitoring": {"admin_listen": node.admin},
        },
        "away": {
            "address": "127.0.0.1",
            "ssh": {"port": port, "user": "nobody", "connect_timeout_s": 5, "known_hosts": "known_hosts"},
            "role": "orchestrator",
            "orchestrator": {"service_uri": "https://127.0.0.1:1"},
        },
    }
    path = tmp_path / "fleet.yaml"
    with path.open("w") as file:
        YAML().dump({"version": 1, "name": "test", "network": {"name": "offchain"}, "hosts": hosts}, file)
    return path


def test_fleet_drain__one_host_is_away__the_other_is_emptied_all_the_same(node, fleet):
    done = desk(fleet, "--yes", "--reason", "kernel", "--json")
    hosts = {host["host"]: host for host in json.loads(done.stdout)["hosts"]}
    assert done.returncode == 1, done.stderr
    assert (hosts["node"]["outcome"], hosts["node"]["text"]) == ("drained", "drained (kernel)")
    assert hosts["away"]["outcome"] == "failed"
    assert "cannot reach away at 127.0.0.1" in hosts["away"]["text"]
    assert "node  drained (kernel)" in done.stderr

    shown = subprocess.run(
        [sys.executable, "-m", "livefleet", "status", "--fleet", str(fleet), "node"], capture_output=True, text=True
    )
    assert "InService (Drained)" in shown.stdout
    assert "node: drained (kernel)" in shown.stdout

    done = desk(fleet, "--host", "node", "--off")
    assert (done.returncode, done.stdout.strip()) == (0, "node: in service")
    assert node.status()["drain"]["state"] == "in service"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--host", "away"), 3, "cannot reach away"),
        (("--host", "nobody"), 2, "nobody"),
        (("--host", "node", "--device", "GPU-9"), 2, "no device GPU-9; the node transcodes on cpu"),
        (("--host", "node", "--deadline", "soon"), 2, "no length of time; write 90s, 10m or 1h30m"),
        ((), 2, "this would empty all 2 hosts: name some by --host, or give --yes"),
    ],
)
def test_fleet_drain__cannot_be__exit_code_and_words_say_why(node, fleet, words, code, text):
    done = subprocess.run(
        [sys.executable, "-m", "livefleet", "drain", str(fleet), *words],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert node.status()["drain"]["state"] == "in service"
