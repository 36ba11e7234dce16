"""How far the last look at the chain may be trusted when no later one succeeds. Pure.

What may go wrong, and when:

- Ticket parameters that gateways hold end 40 L1 blocks after they were quoted. A node that stands still at its last L1
  block would quote parameters that are over. L1 blocks come at a steady pace, so it reckons on: too far ahead, and a
  ticket is refused a little early; it never redeems by this reckoning, since redeeming takes the chain.
- A round's end changes who is active and each reserve share, and tickets must name the round. Until the round ends, as
  seen last, none of that has changed. Parameters quoted just before the end are good for 40 blocks past it, on any day.
- A sender's funds can leave only after an unlock of whole rounds. Others' redemptions in between are the risk that a
  recipient bears anyway.

So the last look serves until the round that it saw has ended, and for 40 L1 blocks at least.
"""

from dataclasses import dataclass, replace

from livefleet.chain.models import ChainHead
from livefleet.kernel import BlockNumber

__all__ = ["LastLook"]

_QUOTED_BLOCKS = 40
"""L1 blocks for which quoted parameters hold. Source: go-livepeer pm/recipient.go paramsExpirationBlock."""


@dataclass(frozen=True, slots=True)
class LastLook:
    """The last look and how long ago it was."""

    head: ChainHead
    age_s: float
    l1_block_s: float  # seconds an L1 block takes

    @property
    def l1_block(self) -> BlockNumber:
        """The L1 block that must have been reached by now."""
        return BlockNumber(self.head.l1_block + int(self.age_s / self.l1_block_s))

    @property
    def serves_until(self) -> BlockNumber:
        """The L1 block from which on it is too old."""
        return BlockNumber(max(self.head.round_end_block, self.head.l1_block + _QUOTED_BLOCKS))

    @property
    def left_s(self) -> float:
        """Seconds that it serves yet; below 0: it is too old."""
        return (self.serves_until - self.head.l1_block) * self.l1_block_s - self.age_s

    @property
    def is_safe(self) -> bool:
        """Whether payments may be taken and quoted by it."""
        return self.left_s > 0

    def reckoned(self) -> ChainHead:
        """The head of now, as far as time alone tells."""
        return replace(self.head, l1_block=self.l1_block)
