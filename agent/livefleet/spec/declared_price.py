"""One price as an operator writes it: an exact amount of a currency per pixel or unit."""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

__all__ = ["Currency", "DeclaredPrice", "Price", "parse_money", "parse_price"]


class Currency(StrEnum):
    """What prices are declared in. gwei and ETH are other ways to write wei."""

    WEI = "wei"
    USD = "usd"


@dataclass(frozen=True, slots=True)
class DeclaredPrice:
    """A price before any rate is applied. `str` of it is read back as an equal one."""

    amount: Fraction  # of the currency, per pixel or unit
    currency: Currency = Currency.WEI

    def __str__(self) -> str:
        if self.currency is Currency.WEI:
            return str(self.amount)
        per = "" if self.amount.denominator == 1 else f" per {self.amount.denominator}"
        return f"{self.amount.numerator} {self.currency}{per}"


_UNITS: Final = {
    "wei": (1, Currency.WEI),
    "gwei": (10**9, Currency.WEI),
    "eth": (10**18, Currency.WEI),
    "usd": (1, Currency.USD),
}
# Exponents of two digits at most: the numbers are made exact, and 1e999999999 would be a gigabyte.
_AMOUNT: Final = re.compile(
    rf"^\s*([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{{1,2}})?)\s*({'|'.join(_UNITS)})?\s*$", re.IGNORECASE | re.ASCII
)
_PRICE: Final = re.compile(
    r"^(?P<amount>.+?)(?:\s*(?:/|\bper\b)\s*(?P<units>[0-9][0-9_]*(?:[eE]\+?[0-9]{1,2})?)\s*(?:pixels|units)?)?$",
    re.ASCII,
)


def parse_money(text: str) -> tuple[Fraction, Currency]:
    """`1200`, `0.5 gwei`, `0.01 ETH`, `0.41USD`: exactly, gwei and ETH as wei. Raises ValueError."""
    match = _AMOUNT.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not an amount; write for example '1200 wei', '0.5 gwei', '0.01 eth' or '2 USD'")
    factor, currency = _UNITS[(match[2] or "wei").lower()]
    return Fraction(Decimal(match[1].replace("_", ""))) * factor, currency


def parse_price(value: Any) -> DeclaredPrice:
    """`1200 wei`, `0.41 USD per 1e12 pixels`, or a plain number of wei, exactly. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("a price is a number or a text such as '1200 wei'")  # noqa: TRY004 -- pydantic wants ValueError
    if isinstance(value, DeclaredPrice):
        price = value
    elif isinstance(value, Fraction):
        price = DeclaredPrice(value)
    elif isinstance(value, int | float | Decimal):
        price = DeclaredPrice(Fraction(str(value)))
    else:
        price = _price_of_text(str(value))
    if price.amount < 0:
        raise ValueError("a price is not negative")
    return price


def _price_of_text(text: str) -> DeclaredPrice:
    match = _PRICE.match(text)
    if match is None:
        raise ValueError("a price is empty; write for example '1200 wei'")
    amount, currency = parse_money(match["amount"])
    if not match["units"]:
        return DeclaredPrice(amount, currency)
    units = Fraction(Decimal(match["units"].replace("_", "")))
    if units == 0:
        raise ValueError("a price per 0 pixels is none")
    return DeclaredPrice(amount / units, currency)


Price = Annotated[
    DeclaredPrice,
    PlainValidator(parse_price),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["1200 wei", "0.41 USD per 1e12 pixels"]}),
]
"""A price per pixel or unit, in wei or US dollars; written back as text that is read as the same price."""
