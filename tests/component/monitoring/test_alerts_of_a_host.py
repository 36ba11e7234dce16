"""Alerts of the host and of its work, from whole agents to a person and back.

What goes wrong really does: a disk is full, a port is taken, processes are killed, segments are broken. The clock of
day, what the kernel says of it, and what NVML says of the GPUs come from libraries in their place.
"""

import asyncio
import contextlib
import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from livefleet.kernel import OutsideWorld
from livefleet.media.inspection import MediaInfo
from livefleet.media.segmenter import SourceSegment
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import AiRequest, Payer, SegmentReport, StreamClient, ask
from livefleet.wire.gateway.discovery import get_orchestrator
from tests.builders.agents import RunningAgent, an_agent, free_port
from tests.builders.ai_runner import serving_app
from tests.builders.alert_watch import OF_A_HOST, Watch, alerting, target
from tests.builders.alerting import RunningPrometheus, until
from tests.builders.certificates import Authority
from tests.builders.gateways import a_stream, a_stream_client, send
from tests.builders.host_troubles import Busy, SmallDisk, TakenPort, Way, WrongClock, a_small_disk
from tests.builders.ollama import OllamaServer
from tests.builders.takeovers import changed
from tests.lab.processes import ProcessId
from tests.nvml import stub

pytestmark = [pytest.mark.component, pytest.mark.timeout(240)]

HOST, ORCHESTRATOR, WORKER, MODELS, RESTLESS = "host", "orch", "worker", "models", "restless"
GPU = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
SECRET = "test-only: how workers and orchestrator know each other"
MODEL, TAG = "meta-llama/Llama-3.2-1B-Instruct", "llama3.2:1b"
QUESTION = AiRequest("llm", MODEL, {"messages": [{"role": "user", "content": "capital of France?"}], "max_tokens": 8})
OFFCHAIN = {"network": {"name": "offchain"}, "gpus": "none"}
SOFTWARE = {"transcoding": {"encoder": "software"}}
TOO_OFTEN = 3
NO_FILM = b"G" + b"no film" * 500


@dataclass
class Door:
    """The file with the front door's certificate and key, as somebody renews it."""

    folder: Path

    @property
    def pem(self) -> Path:
        return self.folder / "door.pem"

    def lasts(self, days):
        """A new one takes its place in one step; 0 days: it has just ended."""
        self.folder.mkdir(exist_ok=True)
        certificate, key = Authority(self.folder, days=days).sign("localhost")
        certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
        certificate.rename(self.pem)


@dataclass
class Host:
    """An agent and all of its host that goes wrong."""

    agent: RunningAgent
    disk: SmallDisk
    clock: WrongClock
    door: Door
    way: Way
    nvml: stub.NvmlState

    def troubles(self, watch):
        """Those that explain each other are one after the other."""
        yield self.of_the_disk(watch)
        yield self.of_the_clock(watch)
        yield self.of_the_certificate(watch)
        yield self.of_the_way(watch)
        yield watch.through(
            "GpuWorn", HOST, lambda: self.nvml.gpu(0, GPU, remapped="0 1 1 0"), lambda: self.nvml.gpu(0, GPU)
        )
        killer = Busy(self.kills_transcoder, every_s=0.3)
        yield watch.through("TranscoderDown", HOST, killer.begin, killer.end)

    async def of_the_disk(self, watch):
        for alert, share in {"DiskLow": 0.08, "DiskFull": 0.01}.items():
            await watch.through(alert, HOST, lambda share=share: self.disk.leave(share), self.disk.clear)

    async def of_the_clock(self, watch):
        await watch.through("ClockOff", HOST, lambda: self.clock.be_off(90), lambda: self.clock.be_off(0))
        await watch.through(
            "ClockUnkept", HOST, lambda: self.clock.be_kept(kept=False), lambda: self.clock.be_kept(kept=True)
        )

    async def of_the_certificate(self, watch):
        for alert, days in {"CertificateEnding": 3, "CertificateInvalid": 0}.items():
            await watch.through(alert, HOST, lambda days=days: self.door.lasts(days), lambda: self.door.lasts(80))

    async def of_the_way(self, watch):
        """From the agent's start on nobody comes through to it: it looks at that once a minute while all is well."""
        await watch.through("ServiceUnreachable", HOST, lambda: None, self.way.open)
        stranger = TakenPort(self.way.to)
        await watch.through(
            "FrontDoorClosed", HOST,
            lambda: asyncio.to_thread(stranger.take_from, self.family("nginx"), self.agent.process.pid),
            stranger.give_back,
        )  # fmt: skip

    async def kills_transcoder(self):
        for process in await asyncio.to_thread(self.family, "livefleet.media.worker"):
            process.send(signal.SIGKILL)

    def family(self, words):
        """Its processes with these words in their command."""
        return [process for process in self.agent.family() if words in command(process)]


def command(process: ProcessId) -> str:
    try:
        return Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@asynccontextmanager
async def a_host(folder):
    """Not started yet."""
    state = stub.NvmlState(folder / "nvml.state")
    clock, door, way = WrongClock.right(folder / "clock"), Door(folder / "tls"), Way(free_port(), free_port())
    library = stub.build(folder / "nvml")
    state.gpu(0, GPU)
    door.lasts(80)
    search = os.pathsep.join(filter(None, [str(library.parent), os.environ.get("LD_LIBRARY_PATH")]))
    with (
        a_small_disk(folder / "node/var/lib/livefleet") as disk,
        an_agent(
            folder / "node", start=False, role="orchestrator", duties=SOFTWARE, **OFFCHAIN | {"gpus": [GPU]},
            env={"LD_LIBRARY_PATH": search, "LIVEFLEET_NVML_STATE": str(state.path)} | clock.env,
            orchestrator={
                "listen": f"127.0.0.1:{way.to}", "service_uri": f"https://127.0.0.1:{way.port}",
                "tls": {"certificate": "door"},
            },
            secrets={"door": str(door.pem)}, gpu_health={"hold_s": 0}, monitoring={"sample_every_s": 0.3},
        ) as agent,
    ):  # fmt: skip
        yield Host(agent, disk, clock, door, way, state)
        await way.close()


@dataclass
class Pair:
    """An orchestrator with one place, its worker, and those who come to it."""

    orchestrator: RunningAgent
    worker: RunningAgent

    async def troubles(self, watch):
        segments, source = a_stream(1)
        async with a_stream_client(self.orchestrator.service_uri, None, retry_wait_s=0.05) as client:
            stream = Stream(client, segments[0], source)
            await stream.goes_on()
            broken = Busy(stream.breaks, parties=2)
            await asyncio.gather(
                self.fills_up(watch),
                watch.through("SegmentsFail", ORCHESTRATOR, broken.begin, broken.end),
                watch.through("WorkerSegmentsFail", WORKER, broken.begin, broken.end),
                watch.through("NoWork", ORCHESTRATOR, lambda: None, stream.goes_on),
            )
        await watch.through(
            "WorkerApart", WORKER,
            lambda: asyncio.to_thread(self.orchestrator.kill), lambda: asyncio.to_thread(self.orchestrator.start),
        )  # fmt: skip

    async def fills_up(self, watch):
        """Its one place is taken, and others ask; until there is more room, as the alert advises."""
        others = Busy(self.asks, every_s=0.3)

        async def more_room():
            await changed(self.orchestrator, orchestrator={"max_sessions": 5})
            await others.end()

        await watch.through_all(["CapacityFull", "WorkTurnedAway"], ORCHESTRATOR, others.begin, more_room)

    async def asks(self):
        with contextlib.suppress(OutsideWorld):
            await get_orchestrator(parse_endpoint(self.orchestrator.service_uri), Payer(None), None)


@dataclass
class Stream:
    """A gateway's session, and one segment that it has."""

    client: StreamClient
    segment: SourceSegment
    source: MediaInfo

    async def goes_on(self):
        (done,) = await send(self.client, [self.segment], self.source)
        assert isinstance(done, SegmentReport), done

    async def breaks(self):
        """What it sends is no film."""
        (failure,) = await send(self.client, [replace(self.segment, data=NO_FILM)], self.source)
        assert isinstance(failure, tuple), failure


@contextlib.contextmanager
def a_pair(folder):
    """Not started yet."""
    for name in ("orchestrator", "worker"):
        file = folder / name / "var/lib/livefleet/secrets/workers"
        file.parent.mkdir(parents=True)
        file.write_text(SECRET)
    shared = {"gpus": "none", "secrets": {"workers": "secrets/workers"}, "start": False}
    with an_agent(
        folder / "orchestrator", role="orchestrator", network={"name": "offchain"},
        orchestrator={"worker_secret": "workers", "max_sessions": 1}, **shared,
    ) as orchestrator:  # fmt: skip
        address = orchestrator.service_uri.removeprefix("https://")
        with an_agent(
            folder / "worker", role="worker", duties=SOFTWARE,
            worker={"orchestrator": address, "secret": "workers"}, **shared,
        ) as worker:  # fmt: skip
            yield Pair(orchestrator, worker)


@dataclass
class Models:
    """An agent that has a model at a server of words."""

    agent: RunningAgent
    server: OllamaServer

    async def troubles(self, watch):
        await watch.through("NoWork", MODELS, lambda: None, self.asks)
        self.server.chat_fails = "llama runner process has terminated: signal: killed"
        others = Busy(self.tries, every_s=0.3)
        await watch.through("AiRequestsFail", MODELS, others.begin, others.end)
        self.server.chat_fails = ""
        await watch.through_all(
            ["ModelDown", "NodeNotReady"], MODELS, lambda: self.is_ill(ill=True), lambda: self.is_ill(ill=False)
        )

    def is_ill(self, *, ill):
        self.server.is_ill = ill

    async def asks(self):
        report = await ask(parse_endpoint(self.agent.service_uri), Payer(None), QUESTION)
        assert report.problems == ()

    async def tries(self):
        with contextlib.suppress(OutsideWorld):
            await self.asks()


@asynccontextmanager
async def models(folder):
    """Not started yet."""
    server = OllamaServer(on_disk={TAG})
    async with serving_app(server.app()) as url:
        entry = {"pipeline": "llm", "model_id": MODEL, "url": url, "source": f"ollama:{TAG}"}
        with an_agent(folder, start=False, role="orchestrator", duties={"ai": {}}, models=[entry], **OFFCHAIN) as agent:
            yield Models(agent, server)


@dataclass
class Restless:
    """An agent that somebody ends again and again."""

    agent: RunningAgent
    prometheus: RunningPrometheus

    async def troubles(self, watch):
        await watch.through("AgentRestarting", RESTLESS, lambda: self.restarts(watch), lambda: None)

    async def restarts(self, watch):
        """Three times, each time once the monitor has seen it; more often where the machine was too slow for that."""
        count = 0
        async with asyncio.timeout(120):
            while count < TOO_OFTEN or not await self.is_told_soon(watch):
                await self.is_seen()
                await asyncio.to_thread(self.agent.kill)
                await asyncio.to_thread(self.agent.start, ready=False)
                count += 1

    async def is_told_soon(self, watch):
        await self.is_seen()
        with contextlib.suppress(AssertionError):
            await until("it is told", lambda: watch.is_told("AgentRestarting", RESTLESS), timeout_s=3)
        return watch.is_told("AgentRestarting", RESTLESS)

    async def is_seen(self):
        query = f'livefleet_node_started_seconds{{node="{RESTLESS}"}}'
        status = await asyncio.to_thread(self.agent.until, "it answers", lambda status: status)
        started = status["started_at"]
        async with httpx.AsyncClient() as http:
            while True:
                answer = await http.get(f"http://{self.prometheus.address}/api/v1/query", params={"query": query})
                found = [float(one["value"][1]) for one in answer.json()["data"]["result"]]
                if found == [pytest.approx(started, abs=1e-3)]:
                    return
                await asyncio.sleep(0.1)


@asynccontextmanager
async def a_scene(folder):
    """Everything up, and well but for the host's way to itself; who is troubled, and what is told of it."""
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(a_host(folder / "host"))
        pair = stack.enter_context(a_pair(folder / "pair"))
        words = await stack.enter_async_context(models(folder / "models"))
        restless = stack.enter_context(
            an_agent(folder / "restless", start=False, role="orchestrator", duties={}, **OFFCHAIN)
        )
        agents = {
            HOST: host.agent, ORCHESTRATOR: pair.orchestrator, WORKER: pair.worker, MODELS: words.agent,
            RESTLESS: restless,
        }  # fmt: skip
        await asyncio.gather(*(asyncio.to_thread(agent.start) for agent in agents.values()))
        telling = await stack.enter_async_context(alerting(folder))
        targets = [
            target(name, agent.admin, role="worker" if name == WORKER else "orchestrator")
            for name, agent in agents.items()
        ]
        prometheus = await stack.enter_async_context(telling.reading(targets))
        watch = await telling.watch()
        yield watch, [
            *host.troubles(watch), pair.troubles(watch), words.troubles(watch),
            Restless(restless, prometheus).troubles(watch),
        ]  # fmt: skip
        await asyncio.gather(*(asyncio.to_thread(agent.stop) for agent in agents.values()))


async def test_alerts_of_a_host__what_it_suffers_comes_and_goes__each_is_told_and_taken_back(short_path, capsys):
    async with a_scene(short_path) as (watch, troubles), asyncio.TaskGroup() as group:
        for trouble in troubles:
            group.create_task(trouble)

    with capsys.disabled():
        print(watch.table())
    assert {alert for alert, _ in watch.proven()} == OF_A_HOST
    assert strangers(watch) == set()


def strangers(watch: Watch):
    """Alerts beside those that were waited for.

    Most of these nodes have nothing to do most of the time, those without a clock of their own go by the machine's, and
    those that are started anew are not ready at once.
    """
    idle = {("NoWork", node) for node in (HOST, RESTLESS)}
    unkept = {("ClockUnkept", node) for node in (ORCHESTRATOR, WORKER, MODELS, RESTLESS)}
    starting = {(alert, node) for alert in ("NodeNotReady", "FrontDoorClosed") for node in (ORCHESTRATOR, RESTLESS)}
    return watch.strangers(watch.proven()) - idle - unkept - starting
