"""What is counted of payments since the process began. Plain numbers, read at scrape; bounded in senders.

Source: go-livepeer monitor/census.go; it decides by the words of an error what kind it was.
"""

from dataclasses import dataclass, field
from typing import Final

from livefleet.kernel import Address, LastValues, Tally, Wei
from livefleet.payments.errors import BadPayment

__all__ = ["PaymentCounters", "error_code"]

_CODES: Final = (
    ("Expected price", "InvalidPrice"),
    ("invalid already revealed recipientRand", "InvalidRecipientRand"),
    ("invalid ticket faceValue", "InvalidTicketFaceValue"),
    ("invalid ticket winProb", "InvalidTicketWinProb"),
)


@dataclass(slots=True)
class PaymentCounters:
    """By sender, as far as senders are told apart; money in wei."""

    tickets: Tally = field(default_factory=Tally)
    ticket_value: Tally = field(default_factory=Tally)  # expected value
    winners: Tally = field(default_factory=Tally)
    errors: Tally = field(default_factory=lambda: Tally(keep=1))  # by error code, sender
    max_floats: LastValues = field(default_factory=LastValues)
    face_values: LastValues = field(default_factory=LastValues)

    def take(self, sender: Address, *, tickets: int, value: float, winners: int) -> None:
        """A payment's tickets are on disk."""
        for tally, by in ((self.tickets, tickets), (self.ticket_value, value), (self.winners, winners)):
            if by:
                tally.add(sender, by=float(by))

    def refuse(self, sender: Address | None, error: BadPayment) -> None:
        """A payment, or a part of it, was not taken."""
        self.errors.add(error_code(error.text), sender or "")

    def quote(self, sender: Address, *, max_float: int, face_value: Wei) -> None:
        """What a sender is good for, and what its tickets shall pay."""
        self.max_floats.set(sender, value=float(max_float))
        self.face_values.set(sender, value=float(face_value))


def error_code(text: str) -> str:
    """The reference's name for a refused payment. Pure."""
    return next((code for words, code in _CODES if words in text), "PaymentError")
