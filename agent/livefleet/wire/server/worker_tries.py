"""One segment at the workers, from the first that gets it to whoever brings its result.

    sent -> result                              done; it need not be of the worker that was asked last
         -> the stream is lost                  another, at once or when one joins
         -> an error that is not the input's    another, if there is one; else that error
         -> an error of the input               that error: nobody else could
         -> nothing for half of the time        another as well, if there is one; the first to bring it wins

All of it happens within the segment's time, which its caller keeps.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from livefleet.kernel import SessionId
from livefleet.media import TranscodeError, TranscodeResult
from livefleet.wire.input_errors import is_input_error
from livefleet.wire.messages import SessionEnd
from livefleet.wire.server.remote_worker import RemoteWorker

__all__ = ["Attempt", "Crew", "SegmentTries"]

log = logging.getLogger(__name__)

_MOST_FAILURES = 3
"""Workers that could not, after which the segment is suspected: a hostile one shall not go round them all."""


@dataclass(eq=False, slots=True)
class Attempt:
    """A task that a worker has."""

    worker: RemoteWorker
    outcome: asyncio.Future[TranscodeResult]  # the segment's: all of its attempts share it
    failure: asyncio.Future[str]  # the worker's text
    renditions: int


class Crew(Protocol):
    """The workers, as a segment sees them."""

    def choose(self, session: SessionId, *, without: Collection[RemoteWorker] = ()) -> RemoteWorker:
        """The session's worker if that may be, else another that can and has the session from now on.

        Raises TranscodeError, and the session stays where it was.
        """
        ...

    def give(self, worker: RemoteWorker) -> Attempt:
        """Send the segment to a worker."""
        ...

    def suspect(self, worker: RemoteWorker) -> None:
        """It is too slow with a segment: new sessions go elsewhere until it is heard of."""
        ...

    def release(self, session: SessionId) -> RemoteWorker | None:
        """Take the session off its worker."""
        ...

    def changed(self) -> asyncio.Future[None]:
        """Done when a worker has joined, or has more room."""
        ...

    def awaits(self, session: SessionId) -> bool:
        """Whether the session lost its worker a moment ago."""
        ...


class SegmentTries:
    """The attempts at one segment. `sent` are all of them so far."""

    def __init__(self, crew: Crew, session: SessionId, sequence: int, outcome: asyncio.Future[TranscodeResult]) -> None:
        self._crew = crew
        self._session = session
        self._sequence = sequence
        self._outcome = outcome
        self._running: list[Attempt] = []
        self._failures: list[RemoteWorker] = []
        self.sent = 0

    @property
    def unheard(self) -> list[RemoteWorker]:
        """Workers that have the segment and have said nothing."""
        return [attempt.worker for attempt in self._running]

    async def run(self, *, patience_s: float) -> TranscodeResult:
        """Until the result is there. After `patience_s` without one, another worker gets the segment as well.

        Raises TranscodeError.
        """
        loop = asyncio.get_running_loop()
        impatient_at = loop.time() + patience_s
        if not await self._give_first():
            return self._outcome.result()
        while True:
            await self._news(None if self._is_doubled else max(0.0, impatient_at - loop.time()))
            if self._outcome.done():
                return self._outcome.result()
            self._take_failures()
            lost = [attempt for attempt in self._running if attempt.worker.gone.done()]
            self._running = [attempt for attempt in self._running if attempt not in lost]
            for attempt in lost:
                log.warning("worker.lost_with_segment", extra={"peer": attempt.worker.peer, "sequence": self._sequence})
            if not self._running:
                if not await self._give_when_possible():
                    return self._outcome.result()
            elif loop.time() >= impatient_at and not self._is_doubled:
                self._give_as_well()
                if not self._is_doubled:  # nobody else is there: look again later
                    impatient_at = loop.time() + patience_s / 4

    @property
    def _is_doubled(self) -> bool:
        return len(self._running) > 1

    async def _news(self, timeout_s: float | None) -> None:
        """Wait for anything that concerns the segment, `timeout_s` at most."""
        watched: list[asyncio.Future[TranscodeResult] | asyncio.Future[str] | asyncio.Future[None]] = [self._outcome]
        for attempt in self._running:
            watched += [attempt.failure, attempt.worker.gone]
        await asyncio.wait(watched, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)

    async def _give_first(self) -> bool:
        """To the session's worker. A session that lost its worker a moment ago waits for one: it may be restarting."""
        try:
            self._give(self._crew.choose(self._session))
        except TranscodeError:
            if not self._crew.awaits(self._session):
                raise
            return await self._give_when_possible()
        return True

    async def _give_when_possible(self) -> bool:
        """To a worker that has not failed with it, at once or when there is one; False where the result came first."""
        while not self._outcome.done():
            changed = self._crew.changed()
            try:
                self._give(self._crew.choose(self._session, without=self._failures))
                return True
            except TranscodeError:
                await asyncio.wait((self._outcome, changed), return_when=asyncio.FIRST_COMPLETED)
        return False

    def _take_failures(self) -> None:
        """Go on elsewhere where a worker could not. Raises TranscodeError where that is the end."""
        for attempt in [attempt for attempt in self._running if attempt.failure.done()]:
            self._running.remove(attempt)
            text, worker = attempt.failure.result(), attempt.worker
            self._failures.append(worker)
            if self._crew.release(self._session) is worker:
                worker.send(SessionEnd(self._session))
            if is_input_error(text) or (not self._running and len(self._failures) >= _MOST_FAILURES):
                raise TranscodeError(text)
            log.warning("worker.could_not", extra={"peer": worker.peer, "sequence": self._sequence, "error": text})
            if self._running:
                continue  # somebody is at it still
            try:
                self._give(self._crew.choose(self._session, without=self._failures))
            except TranscodeError:
                raise TranscodeError(text) from None

    def _give_as_well(self) -> None:
        """The session moves to another worker; the slow one may still bring its result, and gets nothing new before."""
        slow = self._running[0].worker
        try:
            other = self._crew.choose(self._session, without=[*self._failures, slow])
        except TranscodeError:
            return
        self._crew.suspect(slow)
        log.warning("worker.overdue", extra={"peer": slow.peer, "sequence": self._sequence, "other": other.peer})
        self._give(other)

    def _give(self, worker: RemoteWorker) -> None:
        self._running.append(self._crew.give(worker))
        self.sent += 1
