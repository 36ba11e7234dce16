"""What a gateway requires of the tickets that it is asked for. Source: go-livepeer pm/sender.go and its defaults."""

import math
from fractions import Fraction

from livefleet.kernel import MAX_WIN_PROB

__all__ = ["ESTIMATE_MARGIN", "MAX_TICKET_EV", "MAX_TOTAL_EV", "expected_value", "tickets_for", "value_faults"]

MAX_TICKET_EV = 3_000_000_000_000  # wei; go-livepeer's default -maxTicketEV
MAX_TOTAL_EV = 20_000_000_000_000  # wei in one payment; -maxTotalEV
ESTIMATE_MARGIN = Fraction(102, 100)


def expected_value(face_value: int, win_prob: int) -> Fraction:
    """Wei that one ticket is worth on average."""
    return Fraction(face_value * win_prob, MAX_WIN_PROB)


def value_faults(face_value: int, expected: Fraction) -> list[str]:
    """Why no gateway would pay with such tickets; empty where it would. Worthless tickets pass."""
    faults = []
    if expected and expected >= face_value:
        faults.append(f"ticket expected value {float(expected):.0f} is not below its face value {face_value}")
    if expected > MAX_TICKET_EV:
        faults.append(f"ticket expected value {float(expected):.0f} wei is above {MAX_TICKET_EV}")
    return faults


def tickets_for(needed: Fraction, credit: Fraction, expected: Fraction) -> int:
    """How many tickets cover `needed` wei of work, one at least, less what is left of earlier ones."""
    return max(0, math.ceil((max(expected, needed) - credit) / expected)) if expected else 0
