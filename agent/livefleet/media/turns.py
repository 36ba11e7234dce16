"""Jobs of one process in turn: the next begins when those before it are about to leave a core unused.

One job uses more than one core by itself. Running as many at once as there are cores makes none of them faster, but
holds their memory (mostly x264's lookahead, tens of megabytes an encoder) at the same time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Turn", "Turns"]

_LOOK_EVERY_S = 0.05
_SPARE = 1  # threads beyond the cores: those of one job wait for each other at times


class Turn:
    """One job's place. `demand` says how many cores it can use from now on."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def demand(self, cores: float) -> None:
        """May be called by any thread."""
        self._turns._set(self, cores)  # noqa: SLF001 -- the two are one thing


class Turns:
    """Who may use the cores. Thread-safe."""

    def __init__(self, cores: float) -> None:
        self._cores = cores
        self._changed = threading.Condition()
        self._waiting: deque[Turn] = deque()
        self._demands: dict[Turn, float] = {}

    @contextmanager
    def take(self, demand: float, is_cancelled: Callable[[], bool] = lambda: False) -> Iterator[Turn]:
        """Wait for a turn and have it; a job that is given up meanwhile gets it at once, to end by itself."""
        turn = Turn(self)
        with self._changed:
            self._waiting.append(turn)
            while not (self._is_next(turn) or is_cancelled()):
                self._changed.wait(_LOOK_EVERY_S)
            self._waiting.remove(turn)
            self._demands[turn] = demand
            self._changed.notify_all()
        try:
            yield turn
        finally:
            with self._changed:
                del self._demands[turn]
                self._changed.notify_all()

    def _is_next(self, turn: Turn) -> bool:
        return self._waiting[0] is turn and (not self._demands or sum(self._demands.values()) <= self._cores + _SPARE)

    def _set(self, turn: Turn, cores: float) -> None:
        with self._changed:
            if turn in self._demands:
                self._demands[turn] = cores
                self._changed.notify_all()
