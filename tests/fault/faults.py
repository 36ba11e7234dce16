"""What may happen to an orchestrator while gateways use it."""

import asyncio
import math
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.builders.agents import RunningAgent
from tests.fault.gateway import Target
from tests.fault.record import Record

_START_S = 60.0


class Faults:
    """Does them to one agent, tells the streams when its door may be closed, and counts them."""

    def __init__(self, agent: RunningAgent, target: Target, record: Record) -> None:
        self._agent = agent
        self._target = target
        self._record = record

    async def restart(self) -> None:
        """As a service manager does: SIGTERM, wait, start."""
        async with self._door_closed("restart"):
            assert await asyncio.to_thread(self._agent.stop, 60) == 0
            await asyncio.to_thread(self._agent.start, timeout_s=_START_S)
        self._target.started_at = time.time()

    async def kill(self) -> None:
        """kill -9, and start."""
        async with self._door_closed("kill -9"):
            await asyncio.to_thread(self._agent.kill)
            await asyncio.to_thread(self._agent.start, timeout_s=_START_S)
        self._target.started_at = time.time()

    async def kill_nginx(self) -> None:
        """kill -9 of the door; the agent opens it again."""
        async with self._door_closed("nginx killed"):
            before = (await asyncio.to_thread(self._agent.status))["server"]["front_door_restarts"]
            self._find("nginx: master").send(signal.SIGKILL)
            await asyncio.to_thread(
                self._agent.until, "the door lost", lambda s: s["server"]["front_door_restarts"] > before
            )
            await asyncio.to_thread(self._agent.until_condition, "FrontDoorOpen", "Listening")

    async def kill_worker(self) -> None:
        """kill -9 of the process that transcodes; the door stays open."""
        self._record.faults["media worker killed"] += 1
        self._find("livefleet.media.worker").send(signal.SIGKILL)

    @property
    def all(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """One of each kind."""
        return self.kill_worker, self.kill_nginx, self.restart, self.kill

    def _find(self, words: str):
        """The agent's child with these words in its command line."""
        for process in self._agent.family():
            try:
                command = Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if words in command:
                return process
        raise AssertionError(f"the agent has no child {words!r}")

    @asynccontextmanager
    async def _door_closed(self, what: str) -> AsyncIterator[None]:
        self._record.faults[what] += 1
        self._target.disturbed_until = math.inf
        try:
            yield
        finally:
            self._target.disturbed_until = time.monotonic()


@asynccontextmanager
async def hostile_clients(uri: str, record: Record) -> AsyncIterator[None]:
    """Hostile clients of every kind at the same door, from a process of their own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fault.hostile_clients", uri, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun\n"
    try:
        yield
    finally:
        assert process.returncode is None, "the hostile clients gave up"
        process.send_signal(signal.SIGTERM)
        said, _ = await process.communicate()
        record.faults["hostile client"] += int(said)
