"""An operator's wish that a long run ends, heard by all threads that work for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

__all__ = ["Stop"]


class Stop:
    """Asked for once, nothing new is begun and what runs gets a moment to end.

    Any thread may ask and look, and a signal handler too.
    """

    def __init__(self) -> None:
        self._is_asked = False
        self._event = Event()
        self._enders: list[Callable[[], None]] = []

    @property
    def is_asked(self) -> bool:
        """Whether somebody wants the run to end."""
        return self._is_asked

    def ask(self) -> None:
        """Let it end."""
        self._is_asked = True
        # By a thread: the one that a signal handler interrupts may hold the event's own lock.
        Thread(target=self._event.set, name="stop", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Sleep, until somebody asks; whether somebody did."""
        return self._event.wait(seconds)

    def sleep(self, seconds: float) -> None:
        """The same for whoever needs a `sleep`."""
        self._event.wait(seconds)

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """While the block runs, `end_now` calls `end`, which must not block: it may come from a signal handler."""
        self._enders.append(end)
        try:
            yield
        finally:
            self._enders.remove(end)

    def end_now(self) -> None:
        """End what cannot end by itself: processes that would outlive this one. Takes no lock."""
        self._is_asked = True
        for end in list(self._enders):
            end()
