"""Spares reads: what was read of a round stands until the shared watcher sees that something moved."""

from collections.abc import Callable
from dataclasses import replace

from livefleet.chain.models import ChainHead
from livefleet.chain.reward_view import RewardObserved
from livefleet.kernel import Clock, Transient

__all__ = ["RewardMemory"]

_RECHECK_S = 3600.0  # what is settled for a round is read again, though nothing said so
_STALE_S = 300.0  # without a look for this long, the watcher knows nothing


class RewardMemory:
    """The last view in which there was nothing to do. Without a `head` it remembers nothing."""

    def __init__(self, head: Callable[[], ChainHead] | None, *, safe_depth: int, clock: Clock) -> None:
        self._head = head
        self._safe_depth = safe_depth
        self._clock = clock
        self._kept: RewardObserved | None = None
        self._until = 0.0  # monotonic
        self._first_block = 0  # (L2) at which the kept reward was first seen
        self._is_deep = False  # it lies deep enough to stay

    def recall(self) -> RewardObserved | None:
        """The kept view, brought up to date from the watcher, where it still stands."""
        if self._kept is None or self._head is None:
            return None
        try:
            head = self._head()
        except Transient:
            return None
        if self._clock.now() - head.seen_at > _STALE_S or self._clock.monotonic() >= self._until:
            return None
        if (head.current_round, head.last_initialized_round) != _mark(self._kept):
            return None
        if not self._is_deep and head.block >= self._first_block + self._safe_depth:
            return None
        return replace(self._kept, l1_block=max(self._kept.l1_block, head.l1_block))

    def keep(self, observed: RewardObserved, *, for_s: float | None = None) -> None:
        """Remember a view: `for_s` seconds, or as long as the round does not move.

        One that a reorganisation may take back is read once more when it lies deep.
        """
        same = self._kept is not None and (*_mark(self._kept), self._kept.last_reward_round) == (
            *_mark(observed),
            observed.last_reward_round,
        )
        if not same:
            self._first_block = observed.block
        self._is_deep = observed.block >= self._first_block + self._safe_depth
        self._kept = observed
        self._until = self._clock.monotonic() + (_RECHECK_S if for_s is None else for_s)

    def drop(self) -> None:
        """Something is to be done: each look reads."""
        self._kept = None


def _mark(observed: RewardObserved) -> tuple[int, int]:
    return observed.current_round, observed.last_initialized_round
