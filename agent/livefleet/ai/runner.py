"""The process that holds one model: `python -m livefleet.ai.runner`, started by the pool, never by hand.

stdin:  one line of settings; its end means that the agent is gone.
stdout: one line when it has to give up, saying why. Whatever libraries print goes to stderr.
"""

import asyncio
import ctypes
import logging
import os
import random
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn

from livefleet.ai.kinds import Kind
from livefleet.ai.pipelines import kind_of
from livefleet.ai.runner_api import RunnerApi
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.kernel import log as kernel_log

__all__ = ["GAVE_UP", "main"]

GAVE_UP = 3
"""Exit code that goes with a line on stdout."""

_PR_SET_PDEATHSIG = 1

log = logging.getLogger("livefleet.ai.runner")


def main() -> None:
    """Load the model while answering `/health`, then serve it until told to stop."""
    words = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    kernel_log.configure()
    logging.captureWarnings(capture=True)
    settings = RunnerSettings.model_validate_json(sys.stdin.buffer.readline())
    _die_with_parent(settings.parent)
    threads = ThreadPoolExecutor(settings.capacity, thread_name_prefix="job")
    kind = kind_of(settings.pipeline)
    api = RunnerApi(settings, kind, threads, random.Random())
    # Not the pool's thread: loading must not take a job's place, and a failure must end the process at once.
    threading.Thread(target=_load, args=(settings, kind, api, words), name="load", daemon=True).start()
    _serve(api, _listen(settings.socket))
    # A job in native code may take long to notice; nothing here needs an orderly interpreter exit.
    os._exit(0)


def _load(settings: RunnerSettings, kind: Kind[Any], api: RunnerApi, words: int) -> None:
    try:
        model = kind.load(settings)
        # A model counts as warm when it has worked once on this device in this type.
        fields, upload = kind.proof(settings)
        model.run(fields, upload, 0, Stop(float("inf")))
    except BaseException as error:
        # Whatever loading raises is told to the pool and ends this process.
        log.exception("ai.load_failed", extra={"model": settings.model_id})
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        os.write(words, f"cannot load {settings.source}: {reason[:600]}\n".encode())
        os._exit(GAVE_UP)
    log.info("ai.loaded", extra={"model": settings.model_id, "device": settings.device, "dtype": settings.dtype})
    api.loaded(model)


def _serve(api: RunnerApi, listener: socket.socket) -> None:
    config = uvicorn.Config(
        api.app(),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        server_header=False,
        log_level="warning",
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


def _listen(path: Path) -> socket.socket:
    """A socket that only our own user may connect to."""
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
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
