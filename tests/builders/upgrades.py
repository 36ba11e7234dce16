"""Workers that are restarted one after the other while streams go on: what became of each segment."""

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from livefleet.media.ladder import STANDARD
from livefleet.wire.gateway import SegmentReport, StreamClient
from tests.builders.agents import RunningAgent, an_agent
from tests.builders.gateways import a_stream, a_stream_client

SECRET = "test-only: how workers and orchestrator know each other"
PROFILES = (STANDARD["P144p30fps16x9"],)
PATIENCE_S = 60


def write_secret(root):
    file = root / "var/lib/livefleet/secrets/workers"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SECRET + "\n")


@contextmanager
def a_front(root, **settings):
    """An orchestrator that leaves all work to workers."""
    write_secret(root)
    with an_agent(
        root,
        name="front",
        role="orchestrator",
        network={"name": "offchain"},
        gpus="none",
        orchestrator={"worker_secret": "workers"},
        secrets={"workers": "secrets/workers"},
        **settings,
    ) as agent:
        yield agent


@contextmanager
def a_worker(root, front, *, name="worker", **settings):
    """A worker of `front`, on the CPU."""
    write_secret(root)
    with an_agent(
        root,
        name=name,
        role="worker",
        duties={"transcoding": {"encoder": "software", "max_sessions": 8, "max_load": 20}},
        gpus="none",
        worker={"orchestrator": front.service_uri.removeprefix("https://"), "secret": "workers"},
        secrets={"workers": "secrets/workers"},
        **settings,
    ) as agent:
        yield agent


def drain(agent: RunningAgent, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """`livefleet agent drain` on the agent's machine."""
    done = subprocess.run(
        [sys.executable, "-m", "livefleet", "agent", "drain", str(agent.node_yaml), *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def until_workers(front: RunningAgent, count: int) -> None:
    front.until(f"{count} worker(s)", lambda s: len(s["server"]["workers"]) == count)


@dataclass
class Upgrade:
    """What the gateways saw."""

    segments: int
    failures: list[str]
    problems: list[str]
    retries: int
    answer_s: list[float]  # from sending a segment to its answer

    def __str__(self):
        ordered = sorted(self.answer_s)
        return (
            f"{self.segments} segments, {len(self.failures)} failed, {self.retries} tried again by a gateway;"
            f" answered after {ordered[len(ordered) // 2]:.2f} s (median), {ordered[-1]:.2f} s (worst)"
        )


async def restart_in_turn(front: RunningAgent, workers: list[RunningAgent], *, drained: bool) -> None:
    """As an upgrade does it: by the service's stop alone, or drained before and taken back afterwards."""
    for worker in workers:
        if not drained:
            assert await asyncio.to_thread(worker.stop) == 0
            await asyncio.to_thread(worker.start)
            await asyncio.to_thread(until_workers, front, len(workers))
            continue
        await asyncio.to_thread(drain, worker, "--reason", "upgrade", "--wait")
        await asyncio.to_thread(until_workers, front, len(workers) - 1)
        assert await asyncio.to_thread(worker.stop) == 0
        await asyncio.to_thread(worker.start)
        status = await asyncio.to_thread(worker.status)
        assert status["drain"]["state"] == "drained"  # over the restart, too
        await asyncio.to_thread(drain, worker, "--off")
        await asyncio.to_thread(until_workers, front, len(workers))


async def play(client: StreamClient, at_least: int, restarted: asyncio.Event) -> list[SegmentReport | tuple[int, str]]:
    """A live stream at real-time pace: `at_least` so many segments, and until the restarts are over."""
    segments, source = a_stream(4)
    loop, outcomes = asyncio.get_running_loop(), []
    started = loop.time()
    while len(outcomes) < at_least or not restarted.is_set():
        number = len(outcomes)
        segment = replace(segments[number % len(segments)], sequence=number)
        await asyncio.sleep(max(0.0, started + number * segment.duration_ms / 1000 - loop.time()))
        outcomes += [outcome async for outcome in client.run([segment], source=source)]
    return outcomes


async def upgrade_under_load(root: Path, *, streams: int, segments: int, drained: bool = True) -> Upgrade:
    """`streams` of `segments` each or more, while two workers are restarted in turn."""
    restarted = asyncio.Event()
    with (
        a_front(root / "front") as front,
        a_worker(root / "one", front, name="one") as one,
        a_worker(root / "two", front, name="two") as two,
    ):
        await asyncio.to_thread(until_workers, front, 2)
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(a_stream_client(front.service_uri, None, profiles=PROFILES))
                for _ in range(streams)
            ]
            async with asyncio.TaskGroup() as group:
                playing = [group.create_task(play(client, segments, restarted)) for client in clients]
                await asyncio.to_thread(front.until, "streams", lambda s: s["server"]["segments_ok"] >= 2 * streams)
                await restart_in_turn(front, [one, two], drained=drained)
                restarted.set()
            outcomes = [task.result() for task in playing]
            reports = [client.report(outcome) for client, outcome in zip(clients, outcomes, strict=True)]
    done = [segment for outcome in outcomes for segment in outcome if isinstance(segment, SegmentReport)]
    return Upgrade(
        segments=sum(map(len, outcomes)),
        failures=[failure for report in reports for failure in report.failures],
        problems=[problem for segment in done for problem in segment.problems],
        retries=sum(report.retries for report in reports),
        answer_s=[segment.round_trip_s for segment in done],
    )
