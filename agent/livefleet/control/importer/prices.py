"""Prices and tickets, exactly."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from livefleet.control.importer.addresses import eth_address
from livefleet.control.importer.companions import Companions
from livefleet.control.importer.draft import Draft
from livefleet.control.importer.findings import Outcome
from livefleet.control.importer.settings import Said
from livefleet.control.importer.tree import Line
from livefleet.spec import Currency, DeclaredPrice, SpecError
from livefleet.spec.gateways_file import parse_gateways
from livefleet.spec.pricing import parse_price

__all__ = ["BasePrice", "base_price", "map_prices", "map_tickets", "price_text"]

_PRICE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z_][A-Za-z0-9_]*)?", re.ASCII)
_PIXELS: Final = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE]\+?[0-9]{1,2})?", re.ASCII)
_CURRENCIES: Final = {"": "wei", "wei": "wei", "eth": "eth", "usd": "USD"}
_FEED: Final = "0x639fe6ab55c921f74e7fac1ee960c0b6293ba612"
_GATEWAYS_REFUSE_ABOVE: Final = 3_000_000_000_000  # -maxTicketEV's default
_DEFAULT_EV: Final = 8_000_000_000
_MAX_DIGITS: Final = 60


@dataclass(frozen=True, slots=True)
class BasePrice:
    """What `-pricePerUnit` and `-pixelsPerUnit` say."""

    amount: str  # `0.41`
    currency: str  # `wei`, `eth` or `USD`
    pixels: int

    @property
    def text(self) -> str:
        """As the spec has it."""
        return f"{self.amount} {self.currency}" + (f" per {self.pixels} pixels" if self.pixels != 1 else "")

    @property
    def per_unit(self) -> DeclaredPrice:
        """Of one unit, whatever number of pixels that is."""
        return parse_price(f"{self.amount} {self.currency}")


def base_price(draft: Draft) -> BasePrice | None:
    """The price that holds where nothing else is said. None where none is said, or it cannot be read."""
    said = draft.get("pricePerUnit")
    pixels = _pixels(draft)
    if said is None or pixels is None or said.value.known is None:
        return None
    found = _PRICE.fullmatch(said.value.known)
    if found is None or len(found[1]) > _MAX_DIGITS:
        return None
    currency = _CURRENCIES.get((found[2] or "").lower())
    return None if currency is None else BasePrice(found[1], currency, pixels)


def price_text(price: DeclaredPrice, unit: str = "pixels") -> str:
    """A price in words, exactly."""
    currency = "USD" if price.currency is Currency.USD else "wei"
    amount, units = price.amount.numerator, price.amount.denominator
    return f"{amount} {currency}" + (f" per {units} {unit}" if units != 1 else "")


def map_prices(draft: Draft, companions: Companions) -> None:
    """What an orchestrator asks for."""
    said, pixels = draft.get("pricePerUnit"), draft.get("pixelsPerUnit")
    price = base_price(draft)
    if price is not None and said is not None:
        draft.take(said, "prices.video", price.text)
        if pixels is not None:
            draft.take(pixels, "prices.video", price.text)
            draft.put("prices.video", price.text, f"{said.origin}; {pixels.origin}")
        if Fraction(price.amount) == 0 and draft.on_chain:
            draft.danger("a price of 0: everybody is served for nothing", said)
    elif said is not None:
        _unread_price(draft, said)
    elif draft.on_chain and not draft.on("aiWorker"):
        draft.danger("no -pricePerUnit: go-livepeer does not start without one", subject="-pricePerUnit")
        draft.to_do("write `prices.video`; left out, work is free", subject="-pricePerUnit")
    if pixels is not None and price is None:
        draft.leave(pixels, "there is no readable -pricePerUnit that it goes with")
    _feed(draft)
    if (adjust := draft.get("autoAdjustPrice")) is not None:
        draft.take(adjust, "prices.auto_adjust", adjust.is_true)
        if not adjust.is_true and draft.on_chain:
            draft.danger(
                "prices do not follow what redeeming costs: at high gas tickets may pay less than that", adjust
            )
    _gateways(draft, companions)


def map_tickets(draft: Draft) -> None:
    """`-ticketEV`, `-maxFaceValue`."""
    expected = _wei(draft, "ticketEV", "orchestrator.ticket.expected_value")
    if expected is not None and expected > _GATEWAYS_REFUSE_ABOVE:
        draft.danger("gateways refuse an expected value above 3000000000000 wei", draft.get("ticketEV"))
    if expected == 0:
        draft.danger("tickets that are worth nothing", draft.get("ticketEV"))
    most = _wei(draft, "maxFaceValue", "orchestrator.ticket.max_face_value")
    if most and most < (_DEFAULT_EV if expected is None else expected):
        draft.danger("less than the expected value of a ticket: no ticket can be asked for", draft.get("maxFaceValue"))


def _pixels(draft: Draft) -> int | None:
    said = draft.get("pixelsPerUnit")
    if said is None:
        return 1
    text = said.value.known
    if text is None or not _PIXELS.fullmatch(text):
        return None
    number = Fraction(Decimal(text))
    return int(number) if number.denominator == 1 and number > 0 else None


def _unread_price(draft: Draft, said: Said) -> None:
    if said.value.known is None:
        why = f"{said.value.text} is known on the machine only"
    elif (pixels := draft.get("pixelsPerUnit")) is not None and _pixels(draft) is None:
        why = f"`{pixels.value.text[:40]}` is no whole number of pixels above 0"
    else:
        why = f"`{said.value.known[:40]}` is no price that go-livepeer reads: digits, then a currency without a blank"
    draft.leave(said, f"{why}; known currencies: wei, eth, USD")
    draft.to_do("write `prices.video`; left out, work is free", said)


def _feed(draft: Draft) -> None:
    said = draft.get("priceFeedAddr")
    if said is None:
        return
    address = eth_address(said.value.text)
    if address is None:
        draft.leave(said, "it is no address")
    elif address[0].lower() == _FEED:
        draft.adapt(said, "the network's own feed, which is the default of `prices.feed.address`")
    else:
        draft.take(said, "prices.feed.address", address[0])


def _gateways(draft: Draft, companions: Companions) -> None:
    old, new = draft.get("pricePerBroadcaster"), draft.get("pricePerGateway")
    said = old or new
    if said is None:
        return
    if old is not None and new is not None:
        draft.leave(new, "go-livepeer reads -pricePerBroadcaster in its place")
    text, file = said.value.known, ""
    if text is not None and not text.lstrip().startswith("{"):
        found = companions.read(draft.process, text)
        if found is None:
            draft.leave(said, f"`{text}` cannot be read here; write `prices.gateways_file`, or name it as a source too")
            draft.to_do("prices by gateway are not taken over: name the file as a further source", said)
            return
        text, file = found.text, found.shown
    if text is None:
        draft.leave(said, f"{said.value.text} is known on the machine only")
        draft.to_do("write `prices.gateways` by hand", said)
        return
    try:
        prices = parse_gateways(text, file or said.spot.file)
    except SpecError as error:
        for problem in error.problems:
            where = f"{problem.file}:{problem.line}:{problem.column}: " if file else ""
            draft.danger(f"{where}{problem.message}: go-livepeer starts without any price by gateway", said)
        draft.leave(said, "it holds mistakes; correct them, then import again")
        return
    gateways = draft.tree.setdefault("prices", {}).setdefault("gateways", {})
    gateways |= {address: Line(price_text(price), said.origin) for address, price in prices.items()}
    draft.fate(said, Outcome.TAKEN, "prices.gateways")


def _wei(draft: Draft, name: str, path: str) -> int | None:
    said = draft.get(name)
    if said is None:
        return None
    text = said.value.known
    if text is None or not re.fullmatch(r"[0-9]{1,60}", text):
        draft.leave(said, "it is no whole number of wei; go-livepeer ends with an error over it")
        draft.to_do(f"write `{path}` in wei", said)
        return None
    draft.take(said, path, int(text))
    return int(text)
