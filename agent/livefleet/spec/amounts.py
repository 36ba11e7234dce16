"""Shares and LPT as operators write them: exact, and never a bare number whose unit has to be guessed."""

import re
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

__all__ = ["LptAmount", "Percent", "eth_text", "lpt_text", "parse_lpt", "parse_percent", "percent_text"]

_PARTS_A_PERCENT: Final = 10_000
_WHOLE: Final = 1_000_000
_COIN: Final = 10**18
_PERCENT: Final = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,30})?)\s*%\s*", re.ASCII)
_LPT: Final = re.compile(r"\s*([0-9][0-9_]{0,40}(?:\.[0-9]{1,30})?)\s*(lptu?)\s*", re.ASCII | re.IGNORECASE)


def parse_percent(value: Any) -> int:
    """`12.5%` as parts of 1,000,000, exactly. Raises ValueError, also for a number without its sign.

    A bare `0.5` could be a half or half a percent, and `10` ten percent or ten parts: none of them is guessed at.
    """
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no share; write it with its sign, for example '10%' or '0.5%'")
    parts = Fraction(found[1]) * _PARTS_A_PERCENT
    if parts.denominator != 1:
        raise ValueError(f"{value!r} is finer than the chain's 0.0001%")
    if parts > _WHOLE:
        raise ValueError(f"{value!r} is more than 100%")
    return int(parts)


def percent_text(parts: int) -> str:
    """Parts of 1,000,000 as `12.5%`; read back as equal."""
    return f"{_decimal(parts, _PARTS_A_PERCENT)}%"


def parse_lpt(value: Any) -> int:
    """`1000 LPT` or `5 LPTU` as LPTU (10^-18 LPT), exactly. Raises ValueError, also for a number without its unit."""
    found = _LPT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no amount of LPT; write it with its unit, for example '1000 LPT'")
    amount = Fraction(found[1].replace("_", "")) * (_COIN if found[2].lower() == "lpt" else 1)
    if amount.denominator != 1:
        raise ValueError(f"{value!r} is not a whole number of LPTU (10^-18 LPT)")
    return int(amount)


def lpt_text(lptu: int) -> str:
    """LPTU as `1000.5 LPT`; read back as equal."""
    return f"{_decimal(lptu, _COIN)} LPT"


def eth_text(wei: int) -> str:
    """Wei as `0.02 ETH`, exactly."""
    return f"{_decimal(wei, _COIN)} ETH"


Percent = Annotated[
    int,
    PlainValidator(parse_percent),
    PlainSerializer(percent_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9.]+\s*%$", "examples": ["10%", "0.5%"]}),
]
"""A share in parts of 1,000,000, written `10%`; down to 0.0001%."""

LptAmount = Annotated[
    int,
    PlainValidator(parse_lpt),
    PlainSerializer(lpt_text, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["1000 LPT"]}),
]
"""LPTU (10^-18 LPT), written `1000 LPT`."""


def _decimal(amount: int, unit: int) -> str:
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    whole, rest = divmod(amount, unit)
    digits = len(str(unit)) - 1
    return f"{sign}{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".")
