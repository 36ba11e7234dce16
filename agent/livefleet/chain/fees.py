"""What a transaction offers for gas. Pure.

The cap covers two doublings' worth of full blocks; what is paid is base fee plus tip. A replacement must raise both by
the node's rule (10 % in geth) and never goes over the ceiling.
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


def first_fees(*, base_fee: Wei, tip: Wei, ceiling: Wei) -> Fees | None:
    """What to offer first; None when even the price of now is over the ceiling (0: no ceiling)."""
    if ceiling and base_fee + tip > ceiling:
        return None
    wanted = 2 * base_fee + tip
    return Fees(max_fee=Wei(min(wanted, ceiling) if ceiling else wanted), tip=tip)


def replacement_fees(before: Fees, *, base_fee: Wei, tip: Wei, ceiling: Wei) -> Fees | None:
    """What to offer instead of `before`; None when a valid replacement would go over the ceiling (0: no ceiling)."""
    new_tip = max(_bumped(before.tip), tip)
    least = max(_bumped(before.max_fee), new_tip)
    if ceiling and least > ceiling:
        return None
    wanted = max(least, 2 * base_fee + new_tip)
    return Fees(max_fee=Wei(min(wanted, ceiling) if ceiling else wanted), tip=Wei(new_tip))


def _bumped(fee: int) -> int:
    return -(-fee * _BUMP_PERCENT // 100)
