"""From one release to the next by a rollout, on two workers under live streams: no segment fails.

`pytest -m fault -s tests/fault/test_rollout_under_load.py` prints what the gateways saw.
"""

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from livefleet.control import ApplyOptions, apply
from livefleet.control.rollout import Phase, RolloutRecord, RolloutRequest, RolloutSession, Watcher
from livefleet.spec import RolloutSettings, load_fleet
from livefleet.wire.gateway import SegmentReport
from tests.builders.agents import free_port
from tests.builders.deploys import a_checkout
from tests.builders.gateways import a_stream_client
from tests.builders.upgrades import PROFILES, SECRET, a_front, play, until_workers

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

STREAMS, SEGMENTS = 3, 40


class Workers:
    """A fleet of two workers on this machine, and the checkout that they are made from."""

    def __init__(self, folder: Path, door: str) -> None:
        self.folder = folder
        self.checkout = a_checkout(folder / "livefleet")
        self.spec = folder / "fleet.yaml"
        (folder / "join.txt").write_text(SECRET + "\n")
        hosts = {
            name: {
                "address": "@local",
                "root": str(folder / name),
                "role": "worker",
                "gpus": "none",
                "duties": {"transcoding": {"encoder": "software", "max_sessions": 8, "max_load": 20}},
                "worker": {"orchestrator": door, "secret": "join"},
                "monitoring": {"admin_listen": f"127.0.0.1:{free_port()}"},
            }
            for name in ("one", "two")
        }
        document = {"version": 1, "name": "load", "network": {"name": "offchain"}, "hosts": hosts}
        with self.spec.open("w") as file:
            YAML().dump({**document, "secrets": {"join": {"file": "join.txt"}}}, file)

    def roll(self) -> RolloutRecord:
        request = RolloutRequest(RolloutSettings(bake_s=2, drain_s=120))
        session = RolloutSession(load_fleet(self.spec), self.checkout, "me@here", Watcher(), lambda _: None)
        token = session.new_token()
        with session.locked(("one", "two"), token) as locks:
            return session.carry_out(session.plan(request, token), request, locks)

    def releases(self) -> set[str]:
        return {str((self.folder / name / "opt/livefleet/current").readlink()) for name in ("one", "two")}

    def remove(self) -> None:
        apply(self.spec, ApplyOptions(remove=True, purge=True), on_event=lambda _: None, checkout=self.checkout)


async def test_rollout__three_streams_meanwhile__none_of_their_segments_fails(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="lf-") as place:
        folder = Path(place)
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        with a_front(folder / "front") as front:
            workers = Workers(folder, front.service_uri.removeprefix("https://"))
            try:
                await roll_under_load(front, workers)
            finally:
                await asyncio.to_thread(workers.remove)


async def roll_under_load(front, workers: Workers) -> None:
    first = await asyncio.to_thread(workers.roll)
    assert {host.phase for host in first.hosts.values()} == {Phase.DONE}, first
    before = workers.releases()
    module = workers.checkout / "agent/livefleet/kernel/clock.py"
    module.write_text(module.read_text() + "\nRELEASE = 2\n")
    await asyncio.to_thread(until_workers, front, 2)
    over = asyncio.Event()
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(a_stream_client(front.service_uri, None, profiles=PROFILES))
            for _ in range(STREAMS)
        ]
        async with asyncio.TaskGroup() as group:
            playing = [group.create_task(play(client, SEGMENTS, over)) for client in clients]
            await asyncio.to_thread(front.until, "streams", lambda s: s["server"]["segments_ok"] >= 2 * STREAMS)
            began = time.monotonic()
            second = await asyncio.to_thread(workers.roll)
            took_s = time.monotonic() - began
            over.set()
        outcomes = [task.result() for task in playing]
        reports = [client.report(outcome) for client, outcome in zip(clients, outcomes, strict=True)]
    assert {host.phase for host in second.hosts.values()} == {Phase.DONE}, second
    after = workers.releases()
    assert len(before) == len(after) == 1
    assert before != after
    segments = sum(map(len, outcomes))
    failures = [failure for report in reports for failure in report.failures]
    problems = [p for outcome in outcomes for s in outcome if isinstance(s, SegmentReport) for p in s.problems]
    retries = sum(report.retries for report in reports)
    print(f"\n{segments} segments, {len(failures)} failed, {retries} tried again; two hosts in {took_s:.0f} s")
    assert segments >= STREAMS * SEGMENTS
    assert (failures, problems, retries) == ([], [], 0)
