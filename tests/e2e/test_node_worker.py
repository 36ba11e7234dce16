"""An orchestrator without devices of its own and a worker that joins it: two whole agents."""

import asyncio
import signal
from contextlib import contextmanager

import pytest

from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, SegmentReport
from livefleet.wire.gateway.discovery import get_orchestrator
from tests.builders.agents import an_agent
from tests.builders.gateways import a_stream, a_stream_client, send
from tests.builders.takeovers import changed
from tests.builders.upgrades import drain

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SECRET = "test-only: how workers and orchestrator know each other"
TRANSCODING_BITS = 0b11  # H.264 and MPEG-TS


def write_secret(root, text=SECRET):
    file = root / "var/lib/livefleet/secrets/workers"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


@contextmanager
def a_worker(root, orchestrator, *, secret=SECRET, **settings):
    write_secret(root, secret)
    address = orchestrator.service_uri.removeprefix("https://")
    with an_agent(
        root,
        name="worker",
        role="worker",
        duties={"transcoding": {"encoder": "software"}},
        gpus="none",
        worker={"orchestrator": address, "secret": "workers"},
        secrets={"workers": "secrets/workers"},
        **settings,
    ) as agent:
        yield agent


@contextmanager
def an_orchestrator(root):
    write_secret(root)
    with an_agent(
        root,
        role="orchestrator",
        network={"name": "offchain"},
        gpus="none",
        orchestrator={"worker_secret": "workers"},
        secrets={"workers": "secrets/workers"},
    ) as agent:
        yield agent


@pytest.fixture(scope="module")
def orchestrator(tmp_path_factory):
    with an_orchestrator(tmp_path_factory.mktemp("split") / "orch") as agent:
        yield agent


async def bits(agent):
    """What it offers, as the first word of the capability bits."""
    info = await get_orchestrator(parse_endpoint(agent.service_uri), Payer(None), None)
    return info.capabilities.bitstring[0] if info.capabilities.bitstring else 0


async def until_workers(agent, count):
    await asyncio.to_thread(agent.until, f"{count} worker(s)", lambda s: len(s["server"]["workers"]) == count)


async def test_worker__joins_and_leaves__work_is_offered_and_done_only_meanwhile(orchestrator, tmp_path):
    segments, source = a_stream(3)
    assert not await bits(orchestrator) & TRANSCODING_BITS
    with a_worker(tmp_path / "worker", orchestrator) as worker:
        await until_workers(orchestrator, 1)
        assert await bits(orchestrator) & TRANSCODING_BITS == TRANSCODING_BITS
        async with a_stream_client(orchestrator.service_uri, None) as client:
            outcomes = await send(client, segments[:2], source)
            await changed(worker, duties={"transcoding": {"encoder": "software", "max_load": 0.5}})
            outcomes += await send(client, segments[2:], source)
            report = client.report(outcomes)
        assert report.ok, (report.failures, [s.problems for s in report.segments])
        assert len(report.segments) == 3
        assert worker.status()["worker"]["done"] == 3
        assert worker.status()["load"]["limit"] == 0.5
        assert orchestrator.status()["server"]["local_sessions"] == 0
        assert await asyncio.to_thread(worker.stop) == 0
    await until_workers(orchestrator, 0)
    assert not await bits(orchestrator) & TRANSCODING_BITS


async def test_worker__wrong_secret__is_told_once_and_stays_out(orchestrator, tmp_path):
    with a_worker(tmp_path / "worker", orchestrator, secret="test-only: another", start=False) as worker:
        await asyncio.to_thread(worker.start, ready=False)
        said = await asyncio.to_thread(worker.until_condition, "JoinedOrchestrator", "Refused")
        assert said["status"] == "false"
        assert "invalid secret" in said["message"]
        assert SECRET not in said["message"]
        assert worker.get("/healthz")[0] == 200
        assert worker.get("/readyz")[0] == 503
        refusals = orchestrator.log().count('"worker.refused"')
        await asyncio.sleep(3)  # several of a worker's usual waits: a storm would show
        assert orchestrator.log().count('"worker.refused"') == refusals == 1
        assert orchestrator.status()["server"]["workers"] == []


async def test_worker__the_only_one_leaves_between_segments__the_stream_waits_for_its_return(orchestrator, tmp_path):
    (first, second), source = a_stream(2)
    with a_worker(tmp_path / "worker", orchestrator) as worker:
        await until_workers(orchestrator, 1)
        async with a_stream_client(orchestrator.service_uri, None) as client:
            assert isinstance((await send(client, [first], source))[0], SegmentReport)
            await asyncio.to_thread(drain, worker)
            await until_workers(orchestrator, 0)
            said = await asyncio.to_thread(worker.until_condition, "JoinedOrchestrator", "Drained")
            assert not said["gates_ready"]
            assert worker.get("/readyz")[0] == 200
            sending = asyncio.create_task(send(client, [second], source))
            (tmp_path / "worker/var/lib/livefleet/drain.json").unlink()  # what --off does, at once
            worker.process.send_signal(signal.SIGHUP)
            (done,) = await sending
            assert isinstance(done, SegmentReport), done
            assert not done.problems
            assert client.report([done]).retries == 0


async def test_worker__killed_and_does_not_return__gateway_is_told_to_go_elsewhere(orchestrator, tmp_path):
    (first, second), source = a_stream(2)
    with a_worker(tmp_path / "worker", orchestrator) as worker:
        await until_workers(orchestrator, 1)
        async with a_stream_client(orchestrator.service_uri, None, retry_wait_s=0.05) as client:
            assert isinstance((await send(client, [first], source))[0], SegmentReport)
            await asyncio.to_thread(worker.kill)
            await until_workers(orchestrator, 0)
            (lost,) = await send(client, [second], source)
            assert lost == (second.sequence, "403 incompatible capabilities")
            assert orchestrator.get("/readyz")[0] == 200


async def test_worker__killed_under_a_segment__the_next_one_does_it(orchestrator, tmp_path):
    (segment,), source = a_stream(1, seconds=6, height=360)
    with a_worker(tmp_path / "worker", orchestrator) as worker:
        await until_workers(orchestrator, 1)
        async with a_stream_client(orchestrator.service_uri, None) as client:
            sending = asyncio.create_task(send(client, [segment], source))
            await asyncio.to_thread(worker.until, "a job", lambda s: s["worker"]["jobs"] == 1)
            await asyncio.to_thread(worker.kill)
            await asyncio.to_thread(worker.start)
            (done,) = await sending
            report = client.report([done])
        assert report.ok, (report.failures, [s.problems for s in report.segments])
        assert report.retries == 0
        assert worker.status()["worker"]["done"] == 1


async def test_orchestrator__stops_with_a_segment_at_the_worker__it_is_still_brought_and_fetched(tmp_path):
    (segment,), source = a_stream(1, seconds=4, height=360)
    with an_orchestrator(tmp_path / "orch") as orchestrator, a_worker(tmp_path / "worker", orchestrator) as worker:
        async with a_stream_client(orchestrator.service_uri, None) as client:
            sending = asyncio.create_task(send(client, [segment], source))
            await asyncio.to_thread(worker.until, "a job", lambda s: s["worker"]["jobs"] == 1)
            stopping = asyncio.create_task(asyncio.to_thread(orchestrator.stop, 60))
            (done,) = await sending
            report = client.report([done])
            assert await stopping == 0
        assert report.ok, (report.failures, [s.problems for s in report.segments])
        assert report.retries == 0
        # The worker goes on looking for it.
        said = await asyncio.to_thread(worker.until_condition, "JoinedOrchestrator", "Disconnected")
        assert said["status"] == "false"
