"""Real Prometheus and Alertmanager processes, and a receiver of notifications."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from livefleet.health.listening import Listener
from tests.builders.agents import free_port

PROMETHEUS = shutil.which("prometheus") or "prometheus"
ALERTMANAGER = shutil.which("prometheus-alertmanager") or "alertmanager"

START_TIMEOUT_S = 30


@dataclass
class Told:
    """A request that a receiver got."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float  # monotonic

    @property
    def json(self) -> dict:
        """The body as parsed."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """An HTTP server that takes everything. `answers` may say otherwise by path: a status code."""

    told: list[Told] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    address: str = ""

    async def take(self, request: Request) -> Response:
        """Note it, and answer as Telegram does: everybody else looks at the status alone."""
        body = await request.body()
        self.told.append(Told(request.url.path, dict(request.headers), body, time.monotonic()))
        status = next((code for path, code in self.answers.items() if request.url.path.startswith(path)), 200)
        return JSONResponse({"ok": status == 200, "result": {"message_id": 1, "chat": {"id": 1}}}, status_code=status)

    def at(self, path: str) -> list[Told]:
        """What came to a path or below it."""
        return [told for told in self.told if told.path.startswith(path)]


@asynccontextmanager
async def a_receiver() -> AsyncIterator[Receiver]:
    """It listens while inside."""
    receiver = Receiver()
    async with Listener("127.0.0.1:0", [Route("/{path:path}", receiver.take, methods=["POST"])], what="receiver") as at:
        receiver.address = at.address
        yield receiver


async def until(what: str, holds: Callable[[], object], *, timeout_s: float = 60) -> None:
    """Wait for a condition, looking often."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def an_alertmanager(folder: Path, text: str) -> AsyncIterator[str]:
    """Alertmanager with this configuration; its address."""
    _write(folder, "alertmanager.yml", text)
    address = f"127.0.0.1:{free_port()}"
    command = [
        ALERTMANAGER, "--config.file=alertmanager.yml", "--storage.path=data", f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]  # fmt: skip
    async with _process(folder, command, f"http://{address}/-/ready"):
        yield address


@dataclass
class RunningPrometheus:
    """Where it listens, and what it reads."""

    address: str
    folder: Path

    def read_from(self, targets: Iterable[dict]) -> None:
        """These targets from now on; each job's file is replaced in one step."""
        jobs: dict[str, list[dict]] = {}
        for target in targets:
            jobs.setdefault(target["labels"]["job"], []).append(target)
        for job, members in jobs.items():
            partial = self.folder / f"{job}.new"
            partial.write_text(json.dumps(members))
            partial.rename(self.folder / f"{job}.json")


@asynccontextmanager
async def a_prometheus(
    folder: Path, rules: str, targets: Iterable[dict], *, alertmanager: str, every_s: float = 1.0
) -> AsyncIterator[RunningPrometheus]:
    """Prometheus that reads `targets` (as file_sd has them, `job` among the labels) and tells Alertmanager."""
    _write(folder, "rules.yml", rules)
    targets = list(targets)
    every = f"{round(every_s * 1000)}ms"
    document = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            {"job_name": job, "file_sd_configs": [{"files": [f"{job}.json"]}]}
            for job in sorted({target["labels"]["job"] for target in targets})
        ],
    }
    _write(folder, "prometheus.yml", json.dumps(document))
    running = RunningPrometheus(f"127.0.0.1:{free_port()}", folder)
    running.read_from(targets)
    command = [
        PROMETHEUS, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
        f"--web.listen-address={running.address}", "--rules.alert.resend-delay=5s", "--log.level=warn",
    ]  # fmt: skip
    async with _process(folder, command, f"http://{running.address}/-/ready"):
        yield running


def _write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


@asynccontextmanager
async def _process(folder: Path, command: list[str], ready: str) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "log").open("w+b"))
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=log, stderr=log)
        stack.push_async_callback(_end, process)
        client = await stack.enter_async_context(httpx.AsyncClient())
        deadline = time.monotonic() + START_TIMEOUT_S
        while not await _answers(client, ready):
            if process.returncode is not None or time.monotonic() > deadline:
                log.seek(0)
                raise AssertionError(log.read().decode())
            await asyncio.sleep(0.05)
        yield


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
