"""A worker's event stream on its way to the gateway that waits for it."""

from collections.abc import AsyncIterator, Callable

from livefleet.kernel import Refused
from livefleet.wire.ai_events import EventReader, is_last
from livefleet.wire.multipart import BadUpload
from livefleet.wire.server.ai_worker_pool import AiWorkerPool
from livefleet.wire.server.remote_ai_job import ChunkFeed

__all__ = ["StreamIntake"]


class StreamIntake:
    """Takes one upload of a task."""

    def __init__(self, pool: AiWorkerPool, task_id: int) -> None:
        self._pool = pool
        self._task_id = task_id
        self._feed: ChunkFeed | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a chunk was handed on, so that nobody else can do the job."""
        return self._feed is not None

    @property
    def is_unwanted(self) -> bool:
        """Whether its gateway is gone."""
        return self._feed is not None and self._feed.is_closed

    async def take(self, body: AsyncIterator[bytes], *, on_unwanted: Callable[[], None]) -> None:
        """Hand chunks on as they come, no faster than they are read; returns at the last, or when nobody wants more.

        Calls `on_unwanted` when its gateway goes away meanwhile. Raises BadUpload.
        """
        reader = EventReader()
        async for piece in body:
            for chunk in reader.feed(piece):
                if self._feed is None:
                    self._feed = self._pool.begin_stream(self._task_id)
                    if self._feed is None:
                        return  # another worker was first
                    self._feed.on_close = on_unwanted
                if not await self._feed.put(chunk):
                    return
                if is_last(chunk):
                    self._feed.end()
                    return
        raise BadUpload("the worker's stream ended early")

    def fail(self, text: str) -> None:
        """Say so to whoever waits; means nothing once it has ended."""
        if self._feed is None:
            self._pool.fail(self._task_id, text)
        else:
            self._feed.end(Refused(text, status=500))
