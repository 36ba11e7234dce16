"""The process that holds one model: `python -m livefleet.ai.runner`, started by the pool; by hand: `standalone.py`.

stdin:  one line of settings; its end means that the agent is gone.
stdout: lines of `runner_line.py`: steps while loading, beats while serving, and why when it has to give up. Whatever
        libraries print goes to stderr.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from livefleet.ai.kinds import Kind
from livefleet.ai.pipelines import kind_of
from livefleet.ai.runner_api import RunnerApi
from livefleet.ai.runner_line import BEAT, BEAT_EVERY_S, LoadStep, step_line
from livefleet.ai.settings import KEEP_CONNECTIONS_S, RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.hardware import read_snapshot
from livefleet.kernel import BadInput
from livefleet.kernel import log as kernel_log

__all__ = ["GAVE_UP", "main", "serve"]

GAVE_UP = 3
"""Exit code that goes with a line on stdout."""

_PR_SET_PDEATHSIG = 1

log = logging.getLogger("livefleet.ai.runner")


def main() -> None:
    """Take the settings, then load and serve."""
    words = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    kernel_log.configure()
    settings = RunnerSettings.model_validate_json(sys.stdin.buffer.readline())
    if settings.parent is not None:
        os.set_blocking(words, False)
        _die_with_parent(settings.parent)
    serve(settings, words)


def serve(settings: RunnerSettings, words: int) -> None:
    """Load the model while answering `/health`, then serve it until told to stop. Ends the process.

    At a TCP address nothing answers before the model has loaded: who asks there takes any answer for a ready runner.
    `words`: the descriptor that is told how it is, and why it gave up.
    """
    logging.captureWarnings(capture=True)
    tell = _Teller(None if settings.parent is None else words)
    threads = ThreadPoolExecutor(settings.capacity, thread_name_prefix="job")
    kind = kind_of(settings.pipeline)
    api = RunnerApi(settings, kind, threads, random.Random(), lambda: read_snapshot(time.time()))
    if settings.socket is not None:
        listener = _listen(settings.socket)
        # Not the pool's thread: loading must not take a job's place, and a failure must end the process at once.
        threading.Thread(target=_load, args=(settings, kind, api, words, tell), name="load", daemon=True).start()
    else:
        assert settings.listen is not None
        listener = _listen_tcp(settings.listen)  # before loading: an address that is taken shows at once
        _load(settings, kind, api, words, tell)
    _serve(api, listener, tell)
    # A job in native code may take long to notice; nothing here needs an orderly interpreter exit.
    os._exit(0)


def _load(settings: RunnerSettings, kind: Kind[Any], api: RunnerApi, words: int, tell: "_Teller") -> None:
    try:
        tell(step_line(LoadStep.PIPELINE))
        model = kind.load(settings)
        tell(step_line(LoadStep.PROOF))
        # A model counts as warm when it has worked once on this device in this type.
        fields, upload = kind.proof(settings)
        model.run(fields, upload, 0, Stop(float("inf")))
        api.loaded(model)
    except BaseException as error:
        # Whatever loading raises is told to the pool and ends this process.
        log.exception("ai.load_failed", extra={"model": settings.model_id})
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        os.write(words, f"cannot load {settings.source}: {reason[:600]}\n".encode())
        os._exit(GAVE_UP)
    log.info("ai.loaded", extra={"model": settings.model_id, "device": settings.device, "dtype": settings.dtype})


def _serve(api: RunnerApi, listener: socket.socket, tell: "_Teller") -> None:
    config = uvicorn.Config(
        api.app(),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        # A socket's only client keeps connections, and closes them before this: neither finds one closed by the other.
        timeout_keep_alive=KEEP_CONNECTIONS_S * 2 if listener.family == socket.AF_UNIX else 5,
        server_header=False,
        log_level="warning",
    )

    async def serve_and_beat() -> None:
        async with asyncio.TaskGroup() as group:
            beats = group.create_task(_beat(tell))
            await uvicorn.Server(config).serve(sockets=[listener])
            beats.cancel()

    uvloop.run(serve_and_beat())


async def _beat(tell: "_Teller") -> None:
    """On the loop that takes requests, so that it tells of that loop and of nothing less."""
    while True:
        tell(BEAT)
        await asyncio.sleep(BEAT_EVERY_S)


class _Teller:
    """Says a line to the agent, where there is one. If nobody reads, it is lost: nothing here waits for that."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __call__(self, line: bytes) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(self._descriptor, line)


def _listen(path: Path) -> socket.socket:
    """A socket that only our own user may connect to."""
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener


def _listen_tcp(address: str) -> socket.socket:
    """Bound, and refusing connections until it listens. Raises BadInput."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except (OSError, ValueError, OverflowError) as error:
        listener.close()
        raise BadInput(f"listen: cannot listen at {address!r}: {error}") from error
    return listener


def _die_with_parent(parent: int) -> None:
    """End when the agent does, however it ends: by signal from the kernel, and by end of stdin."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)

    def wait_for_end() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        os._exit(0)

    threading.Thread(target=wait_for_end, name="parent", daemon=True).start()


if __name__ == "__main__":
    main()
