"""Prices: exact rationals in wei per pixel (video) or per unit (AI)."""

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from livefleet.spec.model import SpecModel

__all__ = ["Price", "Prices", "TicketSettings", "WeiAmount", "parse_price", "parse_wei"]

_UNITS = {"wei": 1, "gwei": 10**9, "eth": 10**18}
# Exponents of two digits at most: the numbers are made exact, and 1e999999999 would be a gigabyte.
_AMOUNT = re.compile(r"^\s*([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?)\s*(wei|gwei|eth)?\s*$", re.IGNORECASE)
_PRICE = re.compile(
    r"^(?P<amount>.+?)(?:\s*(?:/|\bper\b)\s*(?P<units>[0-9][0-9_]*(?:[eE]\+?[0-9]{1,2})?)\s*(?:pixels|units)?)?$"
)


def parse_amount(text: str) -> Fraction:
    """`1200`, `0.5 gwei`, `0.01 ETH` as an exact number of wei. Raises ValueError."""
    match = _AMOUNT.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not an amount; write for example '1200 wei', '0.5 gwei' or '0.01 eth'")
    try:
        number = Decimal(match[1].replace("_", ""))
    except InvalidOperation as error:  # pragma: no cover -- the pattern admits decimals only
        raise ValueError(f"{text!r} is not a number") from error
    return Fraction(number) * _UNITS[(match[2] or "wei").lower()]


def parse_price(value: Any) -> Fraction:
    """`1200 wei`, `0.41 eth per 1e12 pixels`, a plain number or a Fraction as wei per pixel, exactly."""
    if isinstance(value, bool):
        raise ValueError("a price is a number or a text such as '1200 wei'")  # noqa: TRY004 -- pydantic wants ValueError
    if isinstance(value, Fraction):
        price = value
    elif isinstance(value, int | float | Decimal):
        price = Fraction(str(value))
    else:
        price = _price_of_text(str(value))
    if price < 0:
        raise ValueError("a price is not negative")
    return price


def _price_of_text(text: str) -> Fraction:
    match = _PRICE.match(text)
    if match is None:
        raise ValueError("a price is empty; write for example '1200 wei'")
    price = parse_amount(match["amount"])
    if not match["units"]:
        return price
    units = Fraction(Decimal(match["units"].replace("_", "")))
    if units == 0:
        raise ValueError("a price per 0 pixels is none")
    return price / units


def parse_wei(value: Any) -> int:
    """An amount as whole wei. Raises ValueError for fractions of a wei."""
    if isinstance(value, bool):
        raise ValueError("an amount is a number or a text such as '0.5 gwei'")  # noqa: TRY004 -- pydantic wants ValueError
    amount = Fraction(value) if isinstance(value, int) else parse_amount(str(value))
    if amount.denominator != 1:
        raise ValueError(f"{value!r} is not a whole number of wei")
    return int(amount)


Price = Annotated[
    Fraction,
    BeforeValidator(parse_price),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["1200 wei", "0.41 eth per 1e12 pixels"]}),
]
"""Wei per pixel or unit as a Fraction; written back as `numerator/denominator`."""

WeiAmount = Annotated[
    int, BeforeValidator(parse_wei), WithJsonSchema({"type": ["string", "integer"], "examples": ["8 gwei", 8000000000]})
]
"""Whole wei; `gwei` and `eth` understood."""


class TicketSettings(SpecModel):
    """What the orchestrator asks of tickets. Defaults are go-livepeer's."""

    expected_value: WeiAmount = 8_000_000_000
    """Expected value of one ticket, wei (`ticketEV`). Gateways refuse more than 3e12."""

    max_face_value: WeiAmount = 0
    """Upper limit of a ticket's face value, wei. 0: none."""

    redeem_gas: int | None = Field(default=None, gt=0)
    """Gas that redeeming one ticket is reckoned at. None: 1,200,000 on Arbitrum, 350,000 elsewhere."""


class Prices(SpecModel):
    """What work costs."""

    video: Price = Fraction(0)
    """Wei per encoded pixel, for every gateway not named below. 0 works for free."""

    gateways: dict[str, Price] = {}
    """Video price by gateway address, in place of `video`."""

    auto_adjust: bool = True
    """Raise prices by the share that redeeming a ticket costs (go-livepeer's `autoAdjustPrice`)."""
