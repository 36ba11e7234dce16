"""One job while AI workers have it, and the answer that comes up chunk by chunk."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from livefleet.ai import AiJob, AiResult, kind_of
from livefleet.kernel import Refused

__all__ = ["ChunkFeed", "RemoteJob", "Try"]

_WAITING = 16  # chunks; a gateway that reads slower than the model writes slows the worker down


class ChunkFeed:
    """From a worker's upload to the gateway's answer. One writer, one reader, one event loop.

    `on_close` is called when nobody reads any more, as long as the writer has not ended.
    """

    def __init__(self) -> None:
        self.on_close: Callable[[], None] | None = None
        self._waiting: asyncio.Queue[Mapping[str, Any] | Refused | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_WAITING)
        self._is_ended = False
        self.is_closed = False

    async def put(self, chunk: Mapping[str, Any]) -> bool:
        """Hand one on, when there is room; False when nobody reads any more."""
        await self._room.acquire()
        if self.is_closed:
            self._room.release()
            return False
        self._waiting.put_nowait(chunk)
        return True

    def end(self, error: Refused | None = None) -> None:
        """There are no more, as `error` explains; said again it means nothing."""
        if not self._is_ended:
            self._is_ended = True
            self.on_close = None
            self._waiting.put_nowait(error)

    async def read(self) -> AsyncGenerator[Mapping[str, Any], None]:
        """Chunk by chunk to the end. Raises Refused when they ended too early."""
        try:
            while (found := await self._waiting.get()) is not None:
                if isinstance(found, Refused):
                    raise found
                self._room.release()
                yield found
        finally:
            self.close()

    def close(self) -> None:
        """Nobody reads any more; whoever waits to write goes on."""
        self.is_closed = True
        self._room.release()
        if self.on_close is not None:
            self.on_close()


@dataclass(eq=False, slots=True)
class RemoteJob:
    """Several workers may have it one after the other; whoever answers first answers for all."""

    job: AiJob
    answer: asyncio.Future[AiResult | ChunkFeed] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def __post_init__(self) -> None:
        # A job that was given up does not fetch its error; that is no reason for a warning.
        self.answer.add_done_callback(lambda answer: answer.cancelled() or answer.exception())

    @property
    def request(self) -> bytes:
        """Its fields as workers read them, JSON; the file is null there, and lies elsewhere."""
        fields = dict(self.job.fields)
        if self.job.upload is not None and (upload := kind_of(self.job.pipeline).upload) is not None:
            fields[upload.field] = None
        return json.dumps(fields, separators=(",", ":")).encode()

    def give_up(self) -> bool:
        """Nobody waits for it any more; whether no worker had answered yet."""
        if self.answer.cancel():
            return True
        if self.answer.exception() is None and isinstance(answer := self.answer.result(), ChunkFeed):
            answer.close()
        return False


@dataclass(eq=False, slots=True)
class Try:
    """The job at one worker."""

    remote: RemoteJob
    broken: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Set when the worker's upload broke off before anything of it was of use."""
