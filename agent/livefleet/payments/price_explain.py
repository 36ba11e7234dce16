"""How a quoted price comes about, step by step, with the very functions that quote. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from livefleet.kernel import Address, Wei
from livefleet.payments.pricing import PriceList, fit_int64
from livefleet.payments.recipient import face_value
from livefleet.spec import DeclaredPrice, NodeSpec, TicketSettings

__all__ = ["Ceiling", "Declared", "Explanation", "explain_price"]

MAX_TICKET_EV: Final = 3_000_000_000_000
"""Above this expected value gateways refuse tickets (go-livepeer's `maxTicketEV`)."""

_PLENTY: Final = 10**30  # a float that bounds no ticket

Model = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared price that took part."""

    path: tuple[str | int, ...]  # in the node's spec
    what: str  # `video`, `video for 0x…`, `text-to-image tiny`
    price: DeclaredPrice
    wei: Fraction


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What a gateway that pays at most `limit` would do with the price."""

    limit: Fraction  # wei per unit
    is_met: bool
    share: Fraction  # price over limit
    largest_declared: Fraction  # the largest base price that would be met, in wei


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every step from the declared to the quoted price."""

    declared: tuple[Declared, ...]
    base: Fraction  # wei per unit, the sum of the declared
    gas_price: Wei
    redeem_gas: int
    tx_cost: int  # wei, what redeeming one ticket is reckoned at
    face_value: Wei  # of the tickets asked for; 0 where work is free
    overhead: Fraction  # share of the base that redeeming adds, before rounding
    adjusted: Fraction  # base with overhead, whole thousandths of a wei
    price: Fraction  # as sent: both numbers fit an int64
    capability_prices: Mapping[Model, int]  # as listed to gateways that ask without capabilities
    warnings: tuple[str, ...]
    ceiling: Ceiling | None


def explain_price(
    spec: NodeSpec,
    *,
    gas_price: Wei,
    redeem_gas: int,
    wei_per_usd: Fraction | None = None,
    sender: Address | None = None,
    models: Sequence[Model] = (),
    max_float: int | None = None,
    ceiling: Fraction | None = None,
) -> Explanation:
    """Explain what `sender` would be quoted. `max_float`: what it is good for; None: for any ticket.

    Raises NoRate for a price in US dollars without a rate, InsufficientReserve and Refused as a quote would.
    """
    prices = PriceList.of(spec, wei_per_usd)
    ticket = spec.orchestrator.ticket if spec.orchestrator else TicketSettings()
    base = prices.base(sender, models)
    tx_cost = redeem_gas * gas_price
    limit = _PLENTY if max_float is None else max_float
    value = face_value(ticket, redeem_gas=redeem_gas, gas_price=gas_price, max_float=limit) if base else Wei(0)
    asked = prices.asked(base, face_value=value, tx_cost=tx_cost)
    price = fit_int64(asked)
    overhead = _overhead(prices, value, tx_cost) if base else Fraction(0)
    return Explanation(
        declared=tuple(_declared(spec, prices, sender, models)),
        base=base,
        gas_price=gas_price,
        redeem_gas=redeem_gas,
        tx_cost=tx_cost,
        face_value=value,
        overhead=overhead,
        adjusted=asked,
        price=price,
        capability_prices={(pipeline, model): whole for pipeline, model, whole in prices.capability_prices(sender)},
        warnings=(
            *_warnings(prices, base, price, value, ticket.expected_value, sender),
            *_webhook_warnings(spec, models),
        ),
        ceiling=None if ceiling is None else _ceiling(price, ceiling, overhead),
    )


def _overhead(prices: PriceList, value: int, tx_cost: int) -> Fraction:
    if not prices.auto_adjust or not value:
        return Fraction(0)
    share = Fraction(tx_cost, value)
    return share if prices.max_overhead is None else min(share, prices.max_overhead)


def _declared(spec: NodeSpec, prices: PriceList, sender: Address | None, models: Sequence[Model]) -> list[Declared]:
    """The declared prices that make the base, in order."""
    found = []
    if models and sum((prices.model(sender, model) for model in models), Fraction(0)):
        for pipeline, model_id in models:
            for index, entry in enumerate(spec.models):
                if (entry.pipeline.value, entry.model_id) == (pipeline, model_id):
                    own = _own(entry.gateways or {}, sender)
                    what = f"{pipeline} {model_id}"
                    price = entry.price if own is None else (entry.gateways or {})[own]
                    path = ("models", index, "price") if own is None else ("models", index, "gateways", own)
                    wei = prices.model(sender, (pipeline, model_id))
                    found.append(Declared(path, what if own is None else f"{what} for {own}", price, wei))
        return found
    own = _own(spec.prices.gateways, sender)
    if own is None:
        return [Declared(("prices", "video"), "video", spec.prices.video, prices.video)]
    price = spec.prices.gateways[own]
    return [Declared(("prices", "gateways", own), f"video for {own}", price, prices.base(sender))]


def _own(gateways: Mapping[str, object], sender: Address | None) -> str | None:
    """The key of a gateway's own price, as declared: the last of several, as in the price list."""
    wanted = None if sender is None else sender.lower()
    return next((address for address in reversed(list(gateways)) if address.lower() == wanted), None)


def _warnings(
    prices: PriceList, base: Fraction, price: Fraction, value: int, expected: int, sender: Address | None
) -> list[str]:
    told = []
    if not price:
        why = "the declared price is zero" if not base else "it is below 0.001 wei, the finest step of adjusted prices"
        told.append(f"the work is free: {why}")
    for pipeline, model, whole in prices.capability_prices(sender):
        exact = prices.model(sender, (pipeline, model))
        if exact != whole:
            told.append(f"{pipeline} {model} is listed at {whole} wei, lists hold whole wei: its price is {exact}")
    if price and expected > MAX_TICKET_EV:
        told.append(f"gateways refuse an expected value above {MAX_TICKET_EV} wei; ticket.expected_value is {expected}")
    if price and expected >= value:
        told.append(
            f"gateways refuse tickets whose face value ({value}) is not above their expected value ({expected})"
        )
    return told


def _webhook_warnings(spec: NodeSpec, models: Sequence[Model]) -> list[str]:
    """The webhook is not asked here: only the running node knows its answers."""
    if spec.orchestrator is None or spec.orchestrator.auth_webhook is None or models:
        return []
    return ["orchestrator.auth_webhook may name another price of video for this gateway: that one is told, as it is"]


def _ceiling(price: Fraction, limit: Fraction, overhead: Fraction) -> Ceiling:
    return Ceiling(
        limit=limit,
        is_met=price <= limit,
        share=price / limit if limit else Fraction(0),
        largest_declared=limit / (1 + overhead),
    )
