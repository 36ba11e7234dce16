"""Wei and LPTU as people read them, exactly: no digit is rounded away."""

from decimal import Decimal, localcontext

__all__ = ["coins", "decimal"]

_UNIT = 10**18


def coins(amount: int) -> str:
    """An amount of 10**-18 units in whole coins: `-0.000000000000000777`, `12`."""
    whole, rest = divmod(abs(amount), _UNIT)
    digits = f"{whole}.{rest:018d}".rstrip("0").rstrip(".")
    return f"-{digits}" if amount < 0 else digits


def decimal(amount: int) -> Decimal:
    """The same as a number."""
    with localcontext() as context:
        context.prec = 60
        return Decimal(amount) / _UNIT
