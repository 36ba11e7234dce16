"""Ctrl-C and SIGTERM while hosts are changed: the first asks for an end in order, the second ends it at once."""

import os
import signal
from itertools import count
from types import FrameType
from typing import NoReturn, Self

from livefleet.control.stop import Stop

__all__ = ["Interrupt"]

_STDERR = 2
_BY_SIGNAL = 128


class Interrupt:
    """Takes both signals while it is entered, in the main thread. Before `hold` each of them is a KeyboardInterrupt.

    `asked` is said at the first signal after `hold`, `left` at the second.
    """

    def __init__(self, *, asked: str, left: str) -> None:
        self.stop = Stop()
        self._asked = asked
        self._left = left
        self._holds = False
        self._heard_before = count()  # whose `next` no second signal comes into
        self._before: dict[int, signal.Handlers | int | None] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._heard)  # type: ignore[assignment]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """From here on the first signal asks `stop`."""
        self._holds = True

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if not self._holds:
            raise KeyboardInterrupt
        if next(self._heard_before):
            self._leave(number)
        self.stop.ask()
        _say(self._asked)

    def _leave(self, number: int) -> NoReturn:
        self.stop.end_now()
        _say(self._left)
        os._exit(_BY_SIGNAL + number)  # threads may be waiting for hosts that do not answer


def _say(text: str) -> None:
    """Past everything that may hold a lock just now: this is a signal handler."""
    os.write(_STDERR, f"\n{text}\n".encode())
