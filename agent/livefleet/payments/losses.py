"""Money that winning tickets were worth and that did not come: by reason and by sender."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from livefleet.kernel import Address, Clock, Tally, Wei
from livefleet.payments.records import LostTicket

__all__ = ["LOSSES_KEPT", "LOSS_SHOWN_S", "Loss", "Losses"]

LOSS_SHOWN_S = 86_400.0
"""How long a loss stays a condition."""

LOSSES_KEPT = 1000
"""How many are told one by one."""

_WAITED = "; it waited: "


@dataclass(frozen=True, slots=True)
class Loss:
    """One ticket that will never be redeemed."""

    at: float  # unix seconds
    sender: Address
    value: Wei  # face value
    reason: str  # in the contract's words
    waited_for: str  # why it had not been redeemed before; empty where nothing is known

    @property
    def note(self) -> str:
        """What the store keeps of it."""
        return f"{self.reason}{_WAITED}{self.waited_for}" if self.waited_for else self.reason

    @classmethod
    def of(cls, ticket: LostTicket) -> Self:
        """The same from the store."""
        reason, _, waited_for = ticket.note.partition(_WAITED)
        return cls(ticket.at, ticket.sender, ticket.face_value, reason, waited_for)


class Losses:
    """What was lost: one by one of a day, and in sums since the start, which are bounded in senders."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: deque[Loss] = deque(maxlen=LOSSES_KEPT)
        self.value = Tally(keep=1)
        """Face values lost, in wei by reason and sender; for reading only."""
        self.count = Tally(keep=1)
        """The same in tickets."""
        self.short = Tally()
        """What redemptions paid less than the face value, in wei by sender; for reading only."""

    def lose(self, loss: Loss) -> None:
        """A ticket is lost."""
        self._recent.append(loss)
        self.value.add(loss.reason, loss.sender, by=float(loss.value))
        self.count.add(loss.reason, loss.sender)

    def recall(self, before: Iterable[Loss]) -> None:
        """Those of earlier lives are told too; counts since the start are without them."""
        self._recent.extendleft(reversed(list(before)))

    def recent(self) -> tuple[Loss, ...]:
        """What was lost lately, oldest first."""
        return tuple(self._lately())

    def _lately(self) -> Iterator[Loss]:
        since = self._clock.now() - LOSS_SHOWN_S
        return (loss for loss in self._recent if loss.at >= since)
