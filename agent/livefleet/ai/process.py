"""Starting and ending one runner process."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

from livefleet.ai.errors import RunnerLost
from livefleet.ai.runner_line import LoadStep, RunnerLines
from livefleet.ai.settings import CPU, RunnerSettings
from livefleet.ai.watch import WatchLimits

__all__ = ["RunnerProcess", "model_environment", "runner_environment", "running"]

log = logging.getLogger(__name__)

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_BURIAL_S = 5.0  # after SIGKILL; one that a driver holds on to may take for ever
_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}
"""For glibc: tensors of the next step come from what the last one gave back. Else the kernel gives and clears pages for
each step of a model on the CPU, 5 to 10 % of a small picture's time. The process keeps up to 256 MiB."""
_PASSED_ON = (
    "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "NO_PROXY", "PATH", "SSL_CERT_FILE",
    "TMPDIR", "HF_ENDPOINT", "HF_HOME", "HF_TOKEN",
)  # fmt: skip


class RunnerProcess(asyncio.SubprocessProtocol):
    """A runner that was started; whether it still lives is for `ended` to say."""

    def __init__(self) -> None:
        self._lines = RunnerLines()
        self._gone = asyncio.Event()
        self._all_said = asyncio.Event()
        self._transport: asyncio.SubprocessTransport | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._transport is not None
        return self._transport.get_pid()

    @property
    def beats(self) -> int:
        """How many signs of life it has given since it can be asked."""
        return self._lines.beats

    @property
    def step(self) -> LoadStep:
        """How far loading is."""
        return self._lines.step

    async def ended(self, within_s: float) -> bool:
        """Wait for its end, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._gone.wait()
        return self._gone.is_set()

    async def post_mortem(self) -> RunnerLost:
        """What to say of a process that has ended by itself. Waits for its last words, which a child may hold up."""
        await self._gone.wait()
        await self._all_said.wait()
        if self._lines.words:
            return RunnerLost("LoadFailed", self._lines.words)
        code = self._code()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return RunnerLost("RunnerDied", f"the runner (pid {self.pid}) ended: {how}")

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, then SIGKILL; returns when the process is gone."""
        assert self._transport is not None
        if not self._gone.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._transport.terminate()
            if not await self.ended(grace_s):
                self.kill()
        await self._gone.wait()

    def kill(self) -> None:
        """SIGKILL, for a process that hangs."""
        assert self._transport is not None
        with contextlib.suppress(ProcessLookupError):
            self._transport.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's word that it was started."""
        self._transport = cast("asyncio.SubprocessTransport", transport)  # uvloop's is no subclass

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It said something."""
        self._lines.feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Nobody holds the other end any more."""
        if fd == _STDOUT:
            self._lines.end()
            self._all_said.set()

    def process_exited(self) -> None:
        """It has ended."""
        self._gone.set()

    def _code(self) -> int:
        assert self._transport is not None
        code = self._transport.get_returncode()
        assert code is not None
        return code


@asynccontextmanager
async def running(settings: RunnerSettings, *, offline: bool, limits: WatchLimits) -> AsyncIterator[RunnerProcess]:
    """A runner for as long as the block lasts. It ends with the block, and with this process however that ends."""
    assert settings.socket is not None
    settings.socket.unlink(missing_ok=True)
    transport, runner = await asyncio.get_running_loop().subprocess_exec(
        RunnerProcess,
        sys.executable, "-P", "-m", "livefleet.ai.runner",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=_STDERR,
        env=runner_environment(settings, os.environ, offline=offline),
    )  # fmt: skip
    log.info("ai.runner_started", extra={"model": settings.model_id, "device": settings.device, "pid": runner.pid})
    try:
        stdin = cast("asyncio.WriteTransport", transport.get_pipe_transport(_STDIN))
        stdin.write(settings.model_dump_json().encode() + b"\n")
        yield runner
    finally:
        try:
            await runner.stop(limits.stop_grace_s)
        finally:
            runner.kill()  # when cancelled a second time, nobody waits for manners
            await runner.ended(_BURIAL_S)
            transport.close()
            settings.socket.unlink(missing_ok=True)


def runner_environment(settings: RunnerSettings, own: Mapping[str, str], *, offline: bool) -> dict[str, str]:
    """The environment of a runner: little of ours, its one device, and no network when the weights are in a folder."""
    passed_on = {name: own[name] for name in _PASSED_ON if name in own}
    memory = _KEPT_MEMORY if settings.device == CPU else {}
    return passed_on | memory | model_environment(settings, offline=offline)


def model_environment(settings: RunnerSettings, *, offline: bool) -> dict[str, str]:
    """What the libraries that load models have to find in their environment before they are imported."""
    threads = str(settings.cpu_threads)
    environment = {
        "CUDA_VISIBLE_DEVICES": "" if settings.device == CPU else settings.device,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TRANSFORMERS_VERBOSITY": "error",
        "DIFFUSERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if offline:
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return environment
