"""What looks at the pending tickets came to."""

from collections import Counter
from dataclasses import dataclass, field

from livefleet.kernel import Wei
from livefleet.payments.decision import Why

__all__ = ["Expiring", "RedemptionReport"]


@dataclass(slots=True)
class Expiring:
    """Tickets whose last moment is near and that cannot be redeemed now."""

    count: int = 0
    value: Wei = Wei(0)  # face values
    blocks_left: int = 0  # L1 blocks, of the first one
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, value: Wei, blocks_left: int, reason: str) -> None:
        """One more."""
        self.blocks_left = min(self.blocks_left, blocks_left) if self.count else blocks_left
        self.count += 1
        self.value = Wei(self.value + value)
        self.reasons[reason] += 1


@dataclass(slots=True)
class RedemptionReport:
    """One look, and what transactions came to since the one before."""

    looked_at: int = 0
    in_flight: int = 0  # tickets whose transaction is under way
    sent: int = 0  # transactions begun
    redeemed: int = 0
    used_before: int = 0  # the contract had them already
    lost: int = 0
    lost_value: Wei = Wei(0)  # their face values
    paid: Wei = Wei(0)
    short: Wei = Wei(0)  # face value less what was paid, of those redeemed now
    cost: Wei = Wei(0)  # gas paid
    waiting: Counter[str] = field(default_factory=Counter)  # by reason, in words
    why: Counter[Why] = field(default_factory=Counter)  # the same by kind
    expiring: Expiring = field(default_factory=Expiring)
    alarms: list[str] = field(default_factory=list)  # something that should be impossible
    blocks_left: int | None = None  # L1 blocks to the last moment of the first of all pending ones

    def add(self, later: "RedemptionReport") -> None:
        """Take over what transactions came to after this look."""
        for name in ("redeemed", "used_before", "lost", "lost_value", "paid", "short", "cost"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.waiting += later.waiting
        self.why += later.why
        self.alarms += later.alarms
