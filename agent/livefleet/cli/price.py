"""`livefleet price explain HOST`: how a quoted price comes about, and what a gateway's ceiling would do with it."""

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from livefleet.cli.output import console, print_json
from livefleet.cli.price_facts import Facts, gather
from livefleet.kernel import Address, BadInput, OutsideWorld
from livefleet.payments import Explanation, InsufficientReserve, default_redeem_gas, explain_price
from livefleet.payments.pricing import in_wei
from livefleet.spec import Currency, DeclaredPrice, Fleet, NodeSpec, Role, TicketSettings, load_fleet
from livefleet.spec.declared_price import parse_money
from livefleet.spec.pricing import is_address, parse_price, parse_wei
from livefleet.spec.problem import did_you_mean

__all__ = ["command"]

_PLACES = 6


@click.group("price")
def command() -> None:
    """What work costs."""


@command.command()
@click.argument("host", required=False)
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--gateway", metavar="0x…", help="Explain what this gateway is quoted.")
@click.option("--model", "models", multiple=True, metavar="ID", help="Explain the price of this AI model; repeatable.")
@click.option("--ceiling", metavar="PRICE", help="The gateway's maximum, per unit: `1200`, `0.5 usd per 1e12`.")
@click.option("--gas-price", metavar="AMOUNT", help="Reckon with this gas price (`0.01 gwei`) instead of the chain's.")
@click.option("--eth-usd", metavar="USD", help="Reckon with this worth of one ETH instead of the price feed's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def explain(
    host: str | None,
    fleet: Path,
    *,
    gateway: str | None,
    models: tuple[str, ...],
    ceiling: str | None,
    gas_price: str | None,
    eth_usd: str | None,
    as_json: bool,
) -> None:
    """Show step by step what HOST (needed where there are several orchestrators) quotes.

    The chain that the spec declares is asked for what is not given; with --gas-price, and --eth-usd where a price is in
    US dollars, nothing is contacted. Exit code 2 for a wrong spec or argument, 3 when the chain does not answer.
    """
    loaded = load_fleet(fleet)
    question = _Question.of(loaded, host, gateway, models, ceiling)
    facts = asyncio.run(
        gather(
            question.node,
            key_address=question.key_address,
            gateway=question.gateway,
            gas_price=None if gas_price is None else _option("--gas-price", parse_wei, gas_price),
            usd_per_eth=None if eth_usd is None else _option("--eth-usd", _usd, eth_usd),
            needs_usd=ceiling is not None and question.ceiling_is_in_usd,
        )
    )
    found = _explained(question, facts)
    if as_json:
        print_json(_document(loaded, question, facts, found))
    else:
        _print(loaded, question, facts, found)


def _explained(question: "_Question", facts: Facts) -> Explanation:
    try:
        return explain_price(
            question.node,
            gas_price=facts.gas_price,
            redeem_gas=question.redeem_gas,
            wei_per_usd=facts.wei_per_usd,
            sender=question.gateway,
            models=question.models,
            max_float=facts.max_float,
            ceiling=None if question.ceiling is None else in_wei(question.ceiling, facts.wei_per_usd),
        )
    except InsufficientReserve as error:
        raise OutsideWorld(
            f"{question.gateway or 'a gateway'} is quoted nothing: {error}. {facts.float_from}; tickets are worth "
            f"{question.ticket.expected_value} wei on average, and redeeming one costs {question.redeem_gas} gas at "
            f"{facts.gas_price} wei"
        ) from error


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, checked against the spec."""

    host: str
    node: NodeSpec
    key_address: str | None  # of the key that signs, where the fleet says it
    gateway: Address | None
    models: tuple[tuple[str, str], ...]
    ceiling: DeclaredPrice | None

    @classmethod
    def of(
        cls, fleet: Fleet, host: str | None, gateway: str | None, models: tuple[str, ...], ceiling: str | None
    ) -> "_Question":
        name = host or _only_orchestrator(fleet)
        node = fleet.node(name)
        if node.role is not Role.ORCHESTRATOR or node.orchestrator is None:
            raise BadInput(f"`{name}` is a {node.role}: only orchestrators quote prices")
        if not node.network.on_chain:
            raise BadInput(f"`{name}` is off-chain: it quotes no price and takes no payment")
        if gateway is not None and not is_address(gateway):
            raise BadInput(f"--gateway: {gateway!r} is no address: 0x and 40 hex digits")
        key = node.keys.get(node.orchestrator.key or "")
        return cls(
            host=name,
            node=node,
            key_address=key.address if key else None,
            gateway=None if gateway is None else Address(gateway),
            models=tuple(_model(node, text) for text in models),
            ceiling=None if ceiling is None else _option("--ceiling", parse_price, ceiling),
        )

    @property
    def ticket(self) -> TicketSettings:
        return self.node.orchestrator.ticket if self.node.orchestrator else TicketSettings()

    @property
    def redeem_gas(self) -> int:
        return self.ticket.redeem_gas or default_redeem_gas(self.node.network.name)

    @property
    def ceiling_is_in_usd(self) -> bool:
        return self.ceiling is not None and self.ceiling.currency is Currency.USD


def _only_orchestrator(fleet: Fleet) -> str:
    names = [name for name in fleet.hosts if fleet.node(name).role is Role.ORCHESTRATOR]
    if len(names) == 1:
        return names[0]
    raise BadInput(f"name a host: {', '.join(names)}" if names else f"{fleet.path}: no host is an orchestrator")


def _model(node: NodeSpec, text: str) -> tuple[str, str]:
    found = [(m.pipeline.value, m.model_id) for m in node.models if text in (m.model_id, f"{m.pipeline}:{m.model_id}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(f"--model {text}: several pipelines have it; write {found[0][0]}:{text}")
    raise BadInput(f"--model {text}: no such model; {did_you_mean(text, [m.model_id for m in node.models])}")


def _option(name: str, parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from error


def _usd(text: str) -> Fraction:
    amount, _ = parse_money(text if text.lower().endswith("usd") else f"{text}USD")
    if not amount:
        raise ValueError("ETH is worth more than nothing")
    return amount


def _print(fleet: Fleet, asked: _Question, facts: Facts, found: Explanation) -> None:
    who = "any gateway without a price of its own" if asked.gateway is None else f"gateway {asked.gateway}"
    work = ", ".join(f"{pipeline} {model}" for pipeline, model in asked.models) or "transcoding"
    rows: list[tuple[str, str]] = []
    for item in found.declared:
        origin = fleet.origins(asked.host).of(item.path)
        rows.append(("declared", f"{item.what}: {_declared(item.price)}, from {origin or 'built-in default'}"))
    if facts.wei_per_usd is not None:
        rows.append(("rate", f"1 ETH = {_decimal(10**18 / facts.wei_per_usd, 2)} USD, {facts.rate_from}"))
    rows += [
        ("base", f"{_wei(found.base)} per unit"),
        (
            "gas",
            f"{found.gas_price} wei, {facts.gas_from}; redeeming takes {found.redeem_gas} gas = {found.tx_cost} wei",
        ),
        ("ticket", f"face value {found.face_value} wei; {facts.float_from}"),
        ("overhead", _overhead(asked.node, found)),
        (
            "adjusted",
            f"{_wei(found.adjusted)} per unit, down to 0.001 wei" if found.adjusted != found.base else "no change",
        ),
        ("sent", f"pricePerUnit {found.price.numerator}, pixelsPerUnit {found.price.denominator}"),
    ]
    rows += [("listed", f"{pipe} {model}: {whole} wei") for (pipe, model), whole in found.capability_prices.items()]
    if (ceiling := found.ceiling) is not None:
        taken = "taken" if ceiling.is_met else "left out: the price is above it"
        rows.append(
            ("ceiling", f"{_wei(ceiling.limit)}: {taken}; the price is {_decimal(ceiling.share * 100, 2)} % of it")
        )
        rows.append(("", f"largest base price that it takes: {_wei(ceiling.largest_declared)}"))
    rows += [("warning", text) for text in (*facts.warnings, *found.warnings)]
    out = console()
    out.print(f"{asked.host} on {asked.node.network.name}: {work} for {who}", markup=False)
    for name, text in rows:
        out.print(f"  {name:<9} {text}", markup=False)


def _document(fleet: Fleet, asked: _Question, facts: Facts, found: Explanation) -> dict[str, Any]:
    """Fractions as `numerator/denominator`."""
    ceiling = found.ceiling
    return {
        "host": asked.host,
        "gateway": asked.gateway,
        "models": [{"pipeline": pipeline, "model_id": model} for pipeline, model in asked.models],
        "declared": [
            {
                "path": ".".join(map(str, item.path)),
                "amount": str(item.price.amount),
                "currency": item.price.currency.value,
                "wei": str(item.wei),
                "origin": str(fleet.origins(asked.host).of(item.path) or "default"),
            }
            for item in found.declared
        ],
        "rate": None if facts.wei_per_usd is None else {"wei_per_usd": str(facts.wei_per_usd), "from": facts.rate_from},
        "base": str(found.base),
        "gas_price": found.gas_price,
        "gas_from": facts.gas_from,
        "redeem_gas": found.redeem_gas,
        "tx_cost": found.tx_cost,
        "face_value": found.face_value,
        "overhead": str(found.overhead),
        "adjusted": str(found.adjusted),
        "price_per_unit": found.price.numerator,
        "pixels_per_unit": found.price.denominator,
        "capability_prices": [
            {"pipeline": pipeline, "model_id": model, "price_per_unit": whole}
            for (pipeline, model), whole in found.capability_prices.items()
        ],
        "ceiling": None
        if ceiling is None
        else {
            "limit": str(ceiling.limit),
            "is_met": ceiling.is_met,
            "largest_declared": str(ceiling.largest_declared),
        },
        "warnings": [*facts.warnings, *found.warnings],
    }


def _overhead(node: NodeSpec, found: Explanation) -> str:
    if not node.prices.auto_adjust:
        return "none: auto_adjust is off"
    if not found.overhead:
        return "none"
    limit = node.prices.max_overhead_percent
    bound = f", at most {limit} %" if limit is not None else ""
    return f"+ {_decimal(found.overhead * 100, 4)} %, redeeming a ticket over its face value{bound}"


def _declared(price: DeclaredPrice) -> str:
    if price.currency is Currency.WEI:
        return _wei(price.amount)
    return f"{_decimal(price.amount * 10**12)} USD per 1e12 units"


def _wei(value: Fraction) -> str:
    return f"{_decimal(value)} wei"


def _decimal(value: Fraction, places: int = _PLACES) -> str:
    """Decimal digits, cut; `about` where some are missing."""
    scaled = value * 10**places
    whole, rest = divmod(int(scaled), 10**places)
    digits = f"{rest:0{places}}".rstrip("0")
    return f"{'' if scaled.denominator == 1 else 'about '}{whole}{'.' if digits else ''}{digits}"
