"""Prices that the operator gives: a CSV file `date,asset,price`. None are fetched from anywhere."""

import csv
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from livefleet.kernel import BadInput
from livefleet.ledger.accounts import Currency

__all__ = ["FiatPrices", "read_prices"]

_STALE = timedelta(days=7)
_COLUMNS = ["date", "asset", "price"]


@dataclass(frozen=True, slots=True)
class FiatPrices:
    """The price of one coin by day."""

    days: Mapping[Currency, Sequence[tuple[date, Decimal]]]  # sorted

    def at(self, currency: Currency, day: date) -> Decimal | None:
        """The price of that day, else of the last day before it within a week."""
        known = self.days.get(currency, ())
        place = bisect_right(known, day, key=lambda item: item[0])
        if place == 0 or day - known[place - 1][0] > _STALE:
            return None
        return known[place - 1][1]


def read_prices(path: Path) -> FiatPrices:
    """Read the file. Raises BadInput naming the line."""
    try:
        rows = list(csv.reader(path.read_text().splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot read the prices: {error}") from error
    if not rows or [cell.strip() for cell in rows[0]] != _COLUMNS:
        raise BadInput(
            f"{path}, line 1: expected the columns {','.join(_COLUMNS)}, found {','.join(rows[0] if rows else [])!r}"
        )
    found: dict[Currency, dict[date, Decimal]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        try:
            day, asset, price = (cell.strip() for cell in row)
            worth = Decimal(price)
            found.setdefault(Currency(asset), {})[date.fromisoformat(day)] = worth
        except (ValueError, InvalidOperation) as error:
            raise BadInput(
                f"{path}, line {number}: expected a day (2026-01-31), ETH or LPT and a price, found {','.join(row)!r}"
            ) from error
        if not worth.is_finite() or worth < 0:
            raise BadInput(f"{path}, line {number}: a price is a number from 0 on, found {price!r}")
    return FiatPrices({currency: sorted(days.items()) for currency, days in found.items()})
