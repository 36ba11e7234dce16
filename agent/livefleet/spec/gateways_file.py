"""go-livepeer's `pricePerGateway` JSON, with the position of every mistake.

`{"gateways": [{"ethaddress": "0x…", "priceperunit": 0.5, "currency": "USD", "pixelsperunit": 1}]}`; the older name of
the list is `broadcasters`. go-livepeer starts without these prices when it cannot read the file, and takes a map from
address to price, which its documentation shows, for an empty list: both are mistakes here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from livefleet.spec.declared_price import Currency, DeclaredPrice
from livefleet.spec.document import Place, parse_document
from livefleet.spec.pricing import is_address
from livefleet.spec.problem import Problem, SpecError, did_you_mean
from livefleet.spec.profile import Trail

__all__ = ["parse_gateways", "with_gateways_file"]

_LISTS: Final = ("broadcasters", "gateways")  # in this order: the last price of an address counts
_FIELDS: Final = frozenset({"ethaddress", "priceperunit", "currency", "pixelsperunit"})
_FACTORS: Final = {"": 1, "wei": 1, "eth": 10**18, "usd": 1}
_MAX_DIGITS: Final = 80  # exponents included: numbers are made exact, and 1e999999999 would be a gigabyte
_MAX_DEPTH: Final = 40
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_EXAMPLE: Final = 'write {"gateways": [{"ethaddress": "0x…", "priceperunit": 1200, "pixelsperunit": 1}]}'


def with_gateways_file(layer: Any, place: Place, file: str) -> tuple[Any, list[Problem]]:
    """A layer whose `prices.gateways` hold what `prices.gateways_file` says, which is then gone; and what is wrong.

    `place` follows: an address of the file stands where the layer names the file.
    """
    prices = layer.get("prices") if isinstance(layer, dict) else None
    if not isinstance(prices, dict):
        return layer, []
    name, own = prices.get("gateways_file"), prices.get("gateways", {})
    if not isinstance(name, str) or not isinstance(own, dict):
        return layer, []
    spots = place.children["prices"].children
    at = spots["gateways_file"]
    path = Path(file).parent / Path(name).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return layer, [Problem(file, at.line, at.column, f"`gateways_file` {path} cannot be read: {why}")]
    try:
        found = parse_gateways(text, str(path))
    except SpecError as error:
        return layer, list(error.problems)
    said = {str(address).lower() for address in own}
    taken = {address: str(price) for address, price in found.items() if address.lower() not in said}
    around = spots.setdefault("gateways", Place(at.line, at.column, at.key_line, at.key_column))
    for address in taken:
        around.children[address] = Place(at.line, at.column, at.key_line, at.key_column)
    kept = {key: value for key, value in prices.items() if key not in ("gateways_file", "gateways")}
    return {**layer, "prices": {**kept, "gateways": {**taken, **own}}}, []


def parse_gateways(text: str, file: str) -> Mapping[str, DeclaredPrice]:
    """Prices by address, as written. Raises SpecError with every mistake."""
    data = _json(text, file)
    # A tab is one column wide in both, and YAML, which knows positions, takes none.
    document = parse_document(text.replace("\t", " "), file)
    reader = _Reader(file, document.place)
    prices = dict(reader.prices(data))
    if problems := [*document.problems, *reader.problems]:
        raise SpecError(problems)
    return prices


def _json(text: str, file: str) -> Any:
    if _depth(text) > _MAX_DEPTH:
        raise SpecError([Problem(file, 1, 1, "not a price file: nested too deeply", _EXAMPLE)])
    try:
        return json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise SpecError([Problem(file, error.lineno, error.colno, f"not JSON: {error.msg}")]) from error


def _depth(text: str) -> int:
    """How deep brackets nest. The reader recurses in C, where a process with a raised recursion limit would crash."""
    steps = (1 if char in "[{" else -1 for char in _STRING.sub("", text) if char in "[]{}")
    return max(accumulate(steps), default=0)


@dataclass(frozen=True, slots=True)
class _Number:
    """A JSON number, by its digits."""

    text: str

    def exact(self) -> Fraction | None:
        """None where it has more digits than any price."""
        number = Decimal(self.text)
        digits = number.as_tuple()
        small = isinstance(digits.exponent, int) and len(digits.digits) + abs(digits.exponent) <= _MAX_DIGITS
        return Fraction(number) if small else None


class _Reader:
    """One reading: collects problems until the end."""

    def __init__(self, file: str, place: Place) -> None:
        self._file = file
        self._place = place
        self.problems: list[Problem] = []

    def prices(self, data: Any) -> Iterator[tuple[str, DeclaredPrice]]:
        if not isinstance(data, dict):
            self._problem((), "the file must be an object with the list `gateways`", _EXAMPLE)
            return
        lists = {key.lower(): key for key in data}
        for key in data:
            if key.lower() in _LISTS:
                continue
            if is_address(key):
                self._problem((key,), f"a price by address is read by nobody: `{key}` would have no effect", _EXAMPLE)
            else:
                self._problem((key,), f"unknown key `{key}`", did_you_mean(key, _LISTS))
        for name in _LISTS:
            if (key := lists.get(name)) is None or (entries := data[key]) is None:
                continue
            if not isinstance(entries, list):
                self._problem((key,), f"`{key}` must be a list of gateways", _EXAMPLE)
                continue
            for index, entry in enumerate(entries):
                yield from self._entry(entry, (key, index))

    def _entry(self, entry: Any, path: Trail) -> Iterator[tuple[str, DeclaredPrice]]:
        if not isinstance(entry, dict):
            self._problem(path, "a gateway is an object", _EXAMPLE)
            return
        before = len(self.problems)
        for key in entry:
            if key.lower() not in _FIELDS:
                self._problem((*path, key), f"unknown key `{key}`", did_you_mean(key, _FIELDS))
        fields = {key.lower(): ((*path, key), value) for key, value in entry.items()}
        address = self._address(fields.get("ethaddress", (path, None)))
        amount = self._number("priceperunit", fields.get("priceperunit", (path, None)))
        pixels = self._number("pixelsperunit", fields.get("pixelsperunit", (path, _Number("1"))))
        where, currency = fields.get("currency", (path, ""))
        factor = _FACTORS.get(str(currency).lower())
        if factor is None:
            self._problem(where, f"unknown currency `{currency}`", "known: wei, eth, USD")
        if pixels is not None and (pixels.denominator != 1 or pixels < 1):
            self._problem(fields["pixelsperunit"][0], "`pixelsperunit` must be a whole number above 0", "")
        if amount is None or pixels is None or factor is None or len(self.problems) > before:
            return
        kind = Currency.USD if str(currency).lower() == "usd" else Currency.WEI
        yield address, DeclaredPrice(amount * factor / pixels, kind)

    def _address(self, field: tuple[Trail, Any]) -> str:
        path, value = field
        if not isinstance(value, str) or not is_address(value):
            self._problem(path, "`ethaddress` must be a gateway's address, 0x and 40 hex digits", "")
        return str(value)

    def _number(self, name: str, field: tuple[Trail, Any]) -> Fraction | None:
        path, value = field
        number = value.exact() if isinstance(value, _Number) else None
        if number is None:
            hint = "a price in dollars has `currency` beside it" if isinstance(value, str) else ""
            self._problem(path, f"`{name}` must be a number", hint)
        elif number < 0:
            self._problem(path, f"`{name}` must not be negative", "")
        return number

    def _problem(self, path: Trail, message: str, hint: str) -> None:
        place = self._place
        for key in path:
            place = place.children.get(key, place)
        at_key = "unknown key" in message or "by address" in message
        line, column = (place.key_line, place.key_column) if at_key else (place.line, place.column)
        self.problems.append(Problem(self._file, line, column, message, hint))
