"""When to look at the chain again: seldom while nothing depends on it, often where something is awaited. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from livefleet.chain.models import ChainHead
from livefleet.kernel import BlockNumber

__all__ = ["Pace"]

_NEAR_BLOCKS = 1.5  # L1 blocks before an awaited one from which on looks are frequent
_NEAR_S = 0.5
_OVERDUE_S = 60.0  # after which what was awaited is looked for less often
_LONG_OVERDUE_S = 600.0  # and no more than anything else
_OVERDUE_EVERY_S = 2.0
_ACTIVE_S = 12.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a chain is looked at."""

    l1_block_s: float  # seconds an L1 block takes
    idle_s: float  # between looks while nobody pays and nothing is awaited

    @property
    def active_s(self) -> float:
        """The same while somebody pays: once an L1 block, which is what the protocol counts in."""
        return min(self.l1_block_s, _ACTIVE_S, self.idle_s)

    @property
    def near_s(self) -> float:
        """The same where something is about to begin."""
        return min(_NEAR_S, self.l1_block_s / 4)

    def next_look_s(
        self,
        head: ChainHead,
        *,
        block_age_s: float,
        round_age_s: float,
        is_active: bool,
        wished_s: float | None = None,
        awaited: Iterable[BlockNumber] = (),
    ) -> float:
        """Seconds from now until the next look is due.

        `block_age_s`, `round_age_s`: since the head's L1 block and its round were first seen. `is_active`: somebody
        pays. `wished_s`: the shortest interval that somebody asked for. `awaited`: L1 blocks that somebody waits for;
        the next round's first is one of them.
        """
        every_s = self.active_s if is_active else self.idle_s
        if wished_s is not None:
            every_s = min(every_s, wished_s)
        if not head.round_is_initialized:
            return self._awaiting(every_s, round_age_s)
        targets = [block for block in (*awaited, head.round_end_block) if block > head.l1_block]
        if not targets or not head.round_length:
            return every_s
        away_s = (min(targets) - head.l1_block) * self.l1_block_s - block_age_s
        near_from_s = away_s - _NEAR_BLOCKS * self.l1_block_s
        return min(every_s, near_from_s) if near_from_s > self.near_s else self._awaiting(every_s, -away_s)

    def _awaiting(self, every_s: float, overdue_s: float) -> float:
        if overdue_s < _OVERDUE_S:
            return min(every_s, self.near_s)
        return min(every_s, _OVERDUE_EVERY_S) if overdue_s < _LONG_OVERDUE_S else every_s
