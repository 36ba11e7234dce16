"""Reads devices one after another in one thread, and leaves behind the thread that hangs in one of them.

The next thread goes on with the other devices. One that hangs is not asked again before its thread comes back, so there
are never more threads than devices and one.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from livefleet.hardware.lanes import Lane
from livefleet.kernel import Clock

__all__ = ["Readers"]

log = logging.getLogger(__name__)

R = TypeVar("R")
T = TypeVar("T")

_LEAST_WAIT_S = 0.005


@dataclass(frozen=True, slots=True)
class _Stuck:
    since: float  # on the clock that only rises
    lane: Lane
    future: asyncio.Future[None]


class Readers(Generic[R]):
    """One event loop's property. `R`: what reading a device gives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lane: Lane | None = None
        self._call: tuple[Lane, asyncio.Future[object]] | None = None
        self._stuck: dict[int, _Stuck] = {}

    @property
    def stuck_since(self) -> Mapping[int, float]:
        """Devices whose reading has not come back, by index, and since when."""
        return {index: stuck.since for index, stuck in self._stuck.items()}

    @property
    def is_calling(self) -> bool:
        """Whether a call has not come back."""
        return self._call is not None

    async def call(self, function: Callable[[], T], within_s: float) -> T:
        """Call what is about no single device.

        Raises TimeoutError; what was begun goes on, and the next call waits for that.
        """
        if self._call is None:
            lane = self._take_lane()
            self._call = lane, asyncio.wrap_future(lane.submit(function))
        lane, future = self._call
        done, _ = await asyncio.wait([future], timeout=within_s)
        if not done:
            raise TimeoutError
        self._call = None
        self._give_back(lane)
        return future.result()  # type: ignore[return-value]  # of the same function, at one call or a later one

    async def read(
        self, devices: Iterable[int], read: Callable[[int], R], patience_s: float, done: dict[int, R]
    ) -> None:
        """Put what reading each device gives into `done`; those that take longer than `patience_s` are stuck."""
        self._welcome_back()
        todo = deque(index for index in devices if index not in self._stuck)
        while todo:
            lane, turn = self._take_lane(), _Turn(self._clock, todo, read, done)
            future = asyncio.wrap_future(lane.submit(turn.run))
            try:
                while not future.done() and turn.taken_s() < patience_s:
                    await asyncio.wait([future], timeout=max(_LEAST_WAIT_S, patience_s - turn.taken_s()))
                at = turn.leave()
                if at is None:
                    await future
            except asyncio.CancelledError:
                turn.leave()
                lane.end()
                raise
            if future.done():
                self._give_back(lane)
            elif at is not None:
                index, since = at
                log.warning("gpu.not_answering", extra={"index": index})
                self._stuck[index] = _Stuck(since, lane, future)

    def close(self) -> None:
        """Let the threads end; those that are stuck end with the process."""
        if self._lane is not None:
            self._lane.end()
            self._lane = None
        if self._call is not None:
            self._call[1].cancel()
        for stuck in self._stuck.values():
            stuck.future.cancel()
            stuck.lane.end()

    def _take_lane(self) -> Lane:
        lane, self._lane = self._lane or Lane("nvml"), None
        return lane

    def _give_back(self, lane: Lane) -> None:
        if self._lane is None:
            self._lane = lane
        else:
            lane.end()

    def _welcome_back(self) -> None:
        for index, stuck in list(self._stuck.items()):
            if stuck.future.done():
                log.info("gpu.answers_again", extra={"index": index})
                del self._stuck[index]
                self._give_back(stuck.lane)


class _Turn(Generic[R]):
    """One thread's part of a round, looked at from the loop meanwhile."""

    def __init__(self, clock: Clock, todo: deque[int], read: Callable[[int], R], done: dict[int, R]) -> None:
        self._clock = clock
        self._todo = todo
        self._read = read
        self._done = done
        self._is_left = threading.Event()
        self._at: tuple[int, float] | None = None

    def run(self) -> None:
        """For the thread."""
        while self._todo and not self._is_left.is_set():
            index = self._todo.popleft()
            self._at = index, self._clock.monotonic()
            if self._is_left.is_set():  # meanwhile: whoever left may not have seen that it is at this one
                self._todo.appendleft(index)
                self._at = None
                return
            answer = self._read(index)
            if not self._is_left.is_set():
                self._done[index] = answer
            self._at = None

    def taken_s(self) -> float:
        """How long it has been at the device that it is at."""
        at = self._at
        return 0.0 if at is None else self._clock.monotonic() - at[1]

    def leave(self) -> tuple[int, float] | None:
        """It is to start with no other device; the one that it is at, and since when."""
        self._is_left.set()
        return self._at
