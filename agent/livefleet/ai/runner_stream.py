"""An answer in chunks, from the thread that makes it to the connection that takes it."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any

from livefleet.ai.errors import Cancelled
from livefleet.ai.stop import Stop

__all__ = ["as_events"]

log = logging.getLogger(__name__)

_AHEAD = 64
"""Chunks that the model may be ahead of a slow reader, before it waits."""

_LOOK_S = 0.1
"""How often a model that waits for its reader looks whether it should stop."""


class _End:
    """Follows the last chunk."""


async def as_events(
    chunks: Callable[[], Iterator[Mapping[str, Any]]], stop: Stop, threads: Executor
) -> AsyncGenerator[str, None]:
    """Server-sent events, `[DONE]` at the end. An error is the last one, or is raised in place of the first.

    The whole answer is made on one thread. Closing the iterator makes `stop` say so at the model's next step,
    and returns when the thread is free again.
    """
    loop = asyncio.get_running_loop()
    made: asyncio.Queue[Mapping[str, Any] | Exception | _End] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)

    def make() -> None:
        ending: Exception | _End = _End()
        try:
            for chunk in chunks():
                while not room.acquire(timeout=_LOOK_S):
                    stop.check()
                loop.call_soon_threadsafe(made.put_nowait, chunk)
        except Exception as error:  # noqa: BLE001 -- libraries raise anything; each becomes ai-runner's answer
            ending = error
        except BaseException as error:  # noqa: BLE001 -- likewise, and only this job may end by it
            ending = RuntimeError(f"{type(error).__name__}: {error}")
        loop.call_soon_threadsafe(made.put_nowait, ending)

    is_begun = False
    thread = loop.run_in_executor(threads, make)
    try:
        while not isinstance(chunk := await made.get(), _End):
            if isinstance(chunk, Exception):
                if not isinstance(chunk, Cancelled):
                    log.warning("ai.stream_failed", extra={"error": f"{type(chunk).__name__}: {chunk}"})
                if not is_begun:
                    raise chunk
                yield _event({"error": str(chunk)})
                return
            is_begun = True
            room.release()
            yield _event(chunk)
        yield "data: [DONE]\n\n"
    finally:
        stop.cancel()
        await asyncio.shield(thread)


def _event(chunk: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n"
