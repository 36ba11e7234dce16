"""The process that holds one model: `python -m livefleet.ai.runner`, started by the pool; by hand: `standalone.py`.

stdin:  one line of settings; its end means that the agent is gone.
stdout: one line when it has to give up, saying why. Whatever libraries print goes to stderr.
"""

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
        _die_with_parent(settings.parent)
    serve(settings, words)


def serve(settings: RunnerSettings, words: int) -> None:
    """Load the model while answering `/health`, then serve it until told to stop. Ends the process.

    At a TCP address nothing answers before the model has loaded: who asks there takes any answer for a ready runner.
    `words`: the descriptor that is told why it gave up.
    """
    logging.captureWarnings(capture=True)
    threads = ThreadPoolExecutor(settings.capacity, thread_name_prefix="job")
    kind = kind_of(settings.pipeline)
    api = RunnerApi(settings, kind, threads, random.Random(), lambda: read_snapshot(time.time()))
    if settings.socket is not None:
        listener = _listen(settings.socket)
        # Not the pool's thread: loading must not take a job's place, and a failure must end the process at once.
        threading.Thread(target=_load, args=(settings, kind, api, words), name="load", daemon=True).start()
    else:
        assert settings.listen is not None
        listener = _listen_tcp(settings.listen)  # before loading: an address that is taken shows at once
        _load(settings, kind, api, words)
    _serve(api, listener)
    # A job in native code may take long to notice; nothing here needs an orderly interpreter exit.
    os._exit(0)


def _load(settings: RunnerSettings, kind: Kind[Any], api: RunnerApi, words: int) -> None:
    try:
        model = kind.load(settings)
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


def _serve(api: RunnerApi, listener: socket.socket) -> None:
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
    uvloop.run(uvicorn.Server(config).serve(sockets=[listener]))


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
