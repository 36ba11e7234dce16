"""Codecs kept between the segments of a session, where opening one is expensive: on GPUs.

A codec is taken off the shelf for a segment and put back only once that segment has come through: whoever fails drops
it. So two jobs never share one, and none that has seen an error is used again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import av

from livefleet.kernel import SessionId

__all__ = ["IDLE_S", "Shelf", "Use"]

IDLE_S = 70.0
"""A session that sends nothing for so long has ended."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Use:
    """What a codec was opened for. It serves again for exactly the same."""

    session: SessionId
    place: int  # which of the session's codecs
    settings: tuple[object, ...]  # everything it was opened with


@dataclass(slots=True)
class _Kept(Generic[_T]):
    use: Use
    codec: _T
    since: float


class Shelf(Generic[_T]):
    """Idle codecs, at most `most`, the one that has lain longest giving way. Thread-safe. `now`: monotonic seconds."""

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most = most
        self._now = now
        self._lock = threading.Lock()
        self._kept: list[_Kept[_T]] = []  # longest idle first
        self.reused = 0
        """How often a kept codec served again."""

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, use: Use) -> _T | None:
        """The codec kept for that use. One for the same place and anything else goes: the session has changed."""
        with self._lock:
            mine = [kept for kept in self._kept if (kept.use.session, kept.use.place) == (use.session, use.place)]
            self._kept = [kept for kept in self._kept if kept not in mine]
        return next((kept.codec for kept in mine if kept.use == use), None)

    def keep(self, use: Use, codec: _T) -> None:
        """Put a codec back that has come through a segment and can take another."""
        with self._lock:
            self._kept.append(_Kept(use, codec, self._now()))
            del self._kept[: max(0, len(self._kept) - self._most)]

    def open(self, opener: Callable[[], _T]) -> _T:
        """Open another. While the driver refuses, idle ones give way. Raises what the driver said last."""
        while True:
            try:
                return opener()
            except av.FFmpegError:
                if not self._drop_oldest():
                    raise

    def end(self, session: SessionId) -> None:
        """Let go of what is kept for a session."""
        with self._lock:
            self._kept = [kept for kept in self._kept if kept.use.session != session]

    def end_idle(self) -> None:
        """Let go of what nobody has wanted for `IDLE_S`."""
        oldest = self._now() - IDLE_S
        with self._lock:
            self._kept = [kept for kept in self._kept if kept.since > oldest]

    def _drop_oldest(self) -> bool:
        with self._lock:
            return bool(self._kept) and self._kept.pop(0) is not None
