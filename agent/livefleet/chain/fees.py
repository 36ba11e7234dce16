"""What a transaction offers for gas. Pure.

The cap covers two doublings' worth of full blocks; what is paid is base fee plus tip. A replacement must raise both by
the node's rule (10 % in geth, and by one wei at least). Nothing ever goes over a ceiling; where the tip that a node
suggests does not fit under it, less is offered, since Arbitrum orders by arrival and needs none.
"""

from dataclasses import dataclass

from livefleet.kernel import Wei

__all__ = ["Fees", "first_fees", "replacement_fees"]

_BUMP_PERCENT = 112


@dataclass(frozen=True, slots=True)
class Fees:
    """EIP-1559 fields, in wei per gas."""

    max_fee: Wei
    tip: Wei


def first_fees(*, base_fee: Wei, tip: Wei, ceiling: Wei | None) -> Fees | None:
    """What to offer first; None when even the base fee of now is over the ceiling (None: no ceiling)."""
    if ceiling is None:
        return Fees(max_fee=Wei(2 * base_fee + tip), tip=tip)
    if base_fee > ceiling:
        return None
    return Fees(max_fee=Wei(min(2 * base_fee + tip, ceiling)), tip=Wei(min(tip, ceiling - base_fee)))


def replacement_fees(before: Fees, *, base_fee: Wei, tip: Wei, ceiling: Wei | None) -> Fees | None:
    """What to offer instead of `before`; None when a valid replacement would go over the ceiling (None: no ceiling)."""
    least_tip = _bumped(before.tip)
    least = max(_bumped(before.max_fee), least_tip, base_fee)
    if ceiling is not None and least > ceiling:
        return None
    new_tip = max(least_tip, tip)
    if ceiling is None:
        return Fees(max_fee=Wei(max(least, 2 * base_fee + new_tip)), tip=Wei(new_tip))
    new_tip = max(least_tip, min(new_tip, ceiling - base_fee))
    return Fees(max_fee=Wei(min(max(least, 2 * base_fee + new_tip), ceiling)), tip=Wei(new_tip))


def _bumped(fee: int) -> int:
    return max(fee + 1, -(-fee * _BUMP_PERCENT // 100))
