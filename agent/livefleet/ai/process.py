"""Starting and ending one runner process."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from livefleet.ai.errors import RunnerLost
from livefleet.ai.settings import CPU, RunnerSettings
from livefleet.ai.watch import WatchLimits

__all__ = ["RunnerProcess", "model_environment", "runner_environment", "running"]

log = logging.getLogger(__name__)

_STDERR = 2
_PASSED_ON = (
    "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "NO_PROXY", "PATH", "SSL_CERT_FILE",
    "TMPDIR", "HF_ENDPOINT", "HF_HOME", "HF_TOKEN",
)  # fmt: skip


class RunnerProcess:
    """A runner that was started; whether it still lives is for `ended` to say."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def ended(self, within_s: float) -> bool:
        """Wait for its end, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._process.wait()
        return self._process.returncode is not None

    async def post_mortem(self) -> RunnerLost:
        """What to say of a process that has ended by itself."""
        code = await self._process.wait()
        assert self._process.stdout is not None
        words = (await self._process.stdout.read()).decode(errors="replace").strip()
        if words:
            return RunnerLost("LoadFailed", words)
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return RunnerLost("RunnerDied", f"the runner (pid {self.pid}) ended: {how}")

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, then SIGKILL; returns when the process is gone."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            if not await self.ended(grace_s):
                self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """SIGKILL, for a process that hangs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


@asynccontextmanager
async def running(settings: RunnerSettings, *, offline: bool, limits: WatchLimits) -> AsyncIterator[RunnerProcess]:
    """A runner for as long as the block lasts. It ends with the block, and with this process however that ends."""
    assert settings.socket is not None
    settings.socket.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "livefleet.ai.runner",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=_STDERR,
        env=runner_environment(settings, os.environ, offline=offline),
    )  # fmt: skip
    runner = RunnerProcess(process)
    log.info("ai.runner_started", extra={"model": settings.model_id, "device": settings.device, "pid": runner.pid})
    try:
        assert process.stdin is not None
        process.stdin.write(settings.model_dump_json().encode() + b"\n")
        yield runner
    finally:
        try:
            await runner.stop(limits.stop_grace_s)
        finally:
            runner.kill()  # when cancelled a second time, nobody waits for manners
            settings.socket.unlink(missing_ok=True)


def runner_environment(settings: RunnerSettings, own: Mapping[str, str], *, offline: bool) -> dict[str, str]:
    """The environment of a runner: little of ours, its one device, and no network when the weights are in a folder."""
    passed_on = {name: own[name] for name in _PASSED_ON if name in own}
    return passed_on | model_environment(settings, offline=offline)


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
