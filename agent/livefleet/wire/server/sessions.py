"""Transcoding sessions: one segment at a time each, a short queue, an idle end.

       first segment            queue empty for idle_s, or ended
(none) -------------> open ------------------------------------> (none): files dropped, transcoder told
                      | one job in progress + 4 waiting; the next is OrchestratorBusy
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

from livefleet.kernel import Refused, SessionId

__all__ = ["SessionEnded", "TranscodingSessions"]

T = TypeVar("T")

IDLE_S = 70.0
QUEUE = 4


class SessionEnded(Refused):
    """The session was ended while this segment waited or was being worked on."""

    def __init__(self) -> None:
        super().__init__("TranscoderStopped")


@dataclass(slots=True)
class _Item(Generic[T]):
    work: Callable[[], Awaitable[T]]
    done: asyncio.Future[T]


@dataclass(slots=True)
class _Session(Generic[T]):
    queue: asyncio.Queue[_Item[T]] = field(default_factory=asyncio.Queue)
    unfinished: int = 0
    task: asyncio.Task[None] | None = None


class TranscodingSessions(Generic[T]):
    """All open sessions; each is a task of this service, which must be entered before use."""

    def __init__(
        self, max_sessions: int, on_end: Callable[[SessionId], Awaitable[None]], *, idle_s: float = IDLE_S
    ) -> None:
        self.max_sessions = max_sessions
        self._on_end = on_end
        self._idle_s = idle_s
        self._open: dict[SessionId, _Session[T]] = {}
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in list(self._open):
            await self.end(session)
        await self._group.__aexit__(None, None, None)  # an error of the block is its own, none of the group's

    def __len__(self) -> int:
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether no new session is taken."""
        return len(self._open) >= self.max_sessions

    def admits(self, session: SessionId) -> bool:
        """Whether work for this session would be taken: it is open, or there is room."""
        return session in self._open or not self.is_full

    async def run(self, session: SessionId, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work` in the session's turn; it goes on when the caller is cancelled.

        Raises Refused (`OrchestratorCapped`, `OrchestratorBusy`, `TranscoderStopped`) or what `work` raises.
        """
        if not self.admits(session):
            raise Refused("OrchestratorCapped")
        state = self._open.get(session) or self._begin(session)
        if state.unfinished > QUEUE:
            raise Refused("OrchestratorBusy")
        item = _Item(work, asyncio.get_running_loop().create_future())
        item.done.add_done_callback(_retrieved)
        state.unfinished += 1
        state.queue.put_nowait(item)
        return await asyncio.shield(item.done)

    async def end(self, session: SessionId) -> None:
        """End a session now; its segments fail with SessionEnded. Unknown sessions are fine."""
        state = self._open.get(session)
        if state is None or state.task is None:
            return
        state.task.cancel()
        await asyncio.wait({state.task})

    def _begin(self, session: SessionId) -> _Session[T]:
        state = self._open[session] = _Session[T]()
        state.task = self._group.create_task(self._serve(session, state), name=f"session-{session}")
        return state

    async def _serve(self, session: SessionId, state: _Session[T]) -> None:
        current: _Item[T] | None = None
        try:
            while True:
                current = None
                try:
                    async with asyncio.timeout(self._idle_s):
                        current = await state.queue.get()
                except TimeoutError:
                    return
                await _do(current)
                state.unfinished -= 1
        finally:
            del self._open[session]
            for item in (current, *_rest(state.queue)):
                if item is not None and not item.done.done():
                    item.done.set_exception(SessionEnded())
            await self._on_end(session)


async def _do(item: _Item[T]) -> None:
    try:
        result = await item.work()
    except Exception as error:  # noqa: BLE001 -- one segment's failure is its asker's, never the session's end
        item.done.set_exception(error)
    else:
        item.done.set_result(result)


def _rest(queue: asyncio.Queue[_Item[T]]) -> list[_Item[T]]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


def _retrieved(done: asyncio.Future[T]) -> None:
    """A gateway that hung up does not fetch its error; that is no reason for a warning."""
    if not done.cancelled():
        done.exception()
