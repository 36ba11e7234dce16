"""Transcoding sessions: one segment at a time each, a short queue, an idle end.

       first segment            queue empty for idle_s, or ended
(none) -------------> open ------------------------------------> (none): files dropped, transcoder told
                      | one job in progress + 4 waiting; the next is OrchestratorBusy

What `intake` says is refused as OrchestratorCapped, so that gateways go elsewhere; what was taken is always finished.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

from livefleet.kernel import Intake, Refused, SessionId

__all__ = ["SessionEnded", "TranscodingSessions", "WorkFailed"]

log = logging.getLogger(__name__)

T = TypeVar("T")

IDLE_S = 70.0
QUEUE = 4
_PACES = 2.0  # times the usual distance of its segments without one: the stream has ended without a word
_PACE_MARGIN_S = 1.0
_FIRST_PACE_S = 4.0  # of a stream that has sent one segment
_LONGEST_PACE_S = 10.0
_LOOK_S = 0.1


class WorkFailed(Refused):
    """A segment's work broke in a way that nobody foresaw; the log has it."""

    def __init__(self) -> None:
        super().__init__("Internal Server Error", status=500)


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
    last_at: float = 0.0  # loop time of its newest segment
    pace_s: float = _FIRST_PACE_S  # between its last two

    def arrived(self, now: float) -> None:
        if self.last_at:
            self.pace_s = min(now - self.last_at, _LONGEST_PACE_S)
        self.last_at = now
        self.unfinished += 1

    def goes_on(self, now: float) -> bool:
        return self.unfinished > 0 or now - self.last_at < _PACES * self.pace_s + _PACE_MARGIN_S


class TranscodingSessions(Generic[T]):
    """All open sessions; each is a task of this service, which must be entered before use."""

    def __init__(
        self, max_sessions: int, on_end: Callable[[SessionId], Awaitable[None]], *, idle_s: float = IDLE_S
    ) -> None:
        self.max_sessions = max_sessions
        self._on_end = on_end
        self._idle_s = idle_s
        self._open: dict[SessionId, _Session[T]] = {}
        self._arriving: Counter[SessionId] = Counter()
        self.intake = Intake.OPEN
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

    def __contains__(self, session: SessionId) -> bool:
        return session in self._open

    @property
    def is_full(self) -> bool:
        """Whether no new session is taken."""
        return self.intake is not Intake.OPEN or len(self._open) >= self.max_sessions

    @property
    def is_draining(self) -> bool:
        """Whether no work is taken any more, of open sessions neither."""
        return self.intake is Intake.CLOSED

    @property
    def unfinished(self) -> int:
        """Segments that were taken and are not done."""
        return sum(state.unfinished for state in self._open.values()) + sum(self._arriving.values())

    @property
    def running(self) -> int:
        """Sessions at work, or whose next segment is to be expected by the pace of the last ones."""
        now = asyncio.get_running_loop().time()
        return sum(state.goes_on(now) for state in self._open.values())

    def admits(self, session: SessionId) -> bool:
        """Whether work for this session would be taken: it is open, or there is room."""
        return not self.is_full or (session in self._open and self.intake is not Intake.CLOSED)

    @contextmanager
    def arriving(self, session: SessionId) -> Iterator[None]:
        """Count a segment while its source is read: no more come in than could wait, or sources would fill the memory.

        Raises Refused.
        """
        others = len(self._open.keys() | self._arriving.keys() - {session})
        if not self.admits(session) or (session not in self._open and others >= self.max_sessions):
            raise Refused("OrchestratorCapped", status=403)
        if self._arriving[session] > QUEUE:
            raise Refused("OrchestratorBusy")
        self._arriving[session] += 1
        try:
            yield
        finally:
            self._arriving[session] -= 1
            if not self._arriving[session]:
                del self._arriving[session]

    async def run(
        self, session: SessionId, work: Callable[[], Awaitable[T]], *, on_end: Callable[[], None] | None = None
    ) -> T:
        """Do `work` in the session's turn; it goes on when the caller is cancelled.

        `on_end` is called when work that was taken is done, or will not be done any more.

        Raises Refused: `OrchestratorCapped`, `OrchestratorBusy`, `TranscoderStopped`, WorkFailed, or what `work` raises
        of that kind.
        """
        if not self.admits(session):
            raise Refused("OrchestratorCapped")
        state = self._open.get(session) or self._begin(session)
        if state.unfinished > QUEUE:
            raise Refused("OrchestratorBusy")
        item = _Item(work, asyncio.get_running_loop().create_future())
        item.done.add_done_callback(_retrieved)
        if on_end is not None:
            item.done.add_done_callback(lambda _: on_end())
        state.arrived(asyncio.get_running_loop().time())
        state.queue.put_nowait(item)
        return await asyncio.shield(item.done)

    async def let_run(self, patience_s: float) -> None:
        """Take no new session, and return when no stream goes on any more, or after `patience_s`."""
        if self.intake is Intake.OPEN:
            self.intake = Intake.RUNNING
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while self.running and self.intake is not Intake.CLOSED and loop.time() < until:  # noqa: ASYNC110 -- silence makes no event
            await asyncio.sleep(_LOOK_S)

    async def drain(self) -> None:
        """Take no work any more, and return when all that was taken is done."""
        self.intake = Intake.CLOSED
        for state in list(self._open.values()):
            await state.queue.join()

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
                state.queue.task_done()
        finally:
            del self._open[session]
            for item in (current, *_rest(state.queue)):
                if item is not None and not item.done.done():
                    item.done.set_exception(SessionEnded())
                    state.queue.task_done()
            await self._on_end(session)


async def _do(item: _Item[T]) -> None:
    try:
        result = await item.work()
    except Refused as error:
        item.done.set_exception(error)
    except Exception:
        # One segment's failure is its asker's, never the end of the session or of the others.
        log.exception("session.work_failed")
        item.done.set_exception(WorkFailed())
    else:
        item.done.set_result(result)


def _rest(queue: asyncio.Queue[_Item[T]]) -> list[_Item[T]]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


def _retrieved(done: asyncio.Future[T]) -> None:
    """A gateway that hung up does not fetch its error; that is no reason for a warning."""
    if not done.cancelled():
        done.exception()
