"""`livefleet report yield`: what stakers may expect, by the Explorer's formula, with everything that goes into it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import click
from rich.table import Table

from livefleet.cli.chain.where import Where, find_where
from livefleet.cli.output import console, print_json
from livefleet.cli.report.books import Asked, print_csv, report_options
from livefleet.kernel import BadInput

if TYPE_CHECKING:
    from livefleet.ledger import OperatorYield, Yield, YieldInputs

__all__ = ["command"]

_HORIZONS = ("half-year", "one-year", "two-years", "three-years", "four-years")
_TRENDS = ("none", "positive", "negative")


@dataclass(frozen=True, slots=True)
class _Found:
    inputs: "YieldInputs"
    delegator: "Yield"
    operator: "OperatorYield"
    days: Fraction  # that the books cover, ninety at most
    rounds: int  # that the reward calls were counted over


def _coins(text: str) -> Fraction:
    try:
        number = Fraction(Decimal(text))
    except (ArithmeticError, ValueError) as error:
        raise click.BadParameter(f"{text!r} is no number") from error
    if number < 0:
        raise click.BadParameter(f"{text} is negative")
    return number


@click.command("yield")
@click.option(
    "--principle",
    type=_coins,
    metavar="NUMBER",
    default="1000",
    show_default=True,
    help="LPT that a delegator would stake.",
)
@click.option(
    "--lpt-price-eth", type=_coins, metavar="NUMBER", help="ETH for one LPT; without it fees are not turned into LPT."
)
@click.option(
    "--costs-a-month", type=_coins, metavar="NUMBER", default="0", help="ETH a month for power, bandwidth and machines."
)
@click.option("--horizon", type=click.Choice(_HORIZONS), default="one-year", show_default=True)
@click.option(
    "--inflation", "trend", type=click.Choice(_TRENDS), default="none", show_default=True, help="Where it goes."
)
@click.option("--address", metavar="ADDRESS", help="The orchestrator. None: the spec's.")
@click.option("--controller", metavar="ADDRESS", help="The Controller, with --rpc. None: Arbitrum One's.")
@click.option("--rpc", multiple=True, metavar="URL", help="A JSON-RPC endpoint, in place of the spec's.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout: name, value.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@report_options
@click.pass_context
def command(
    ctx: click.Context,
    *,
    asked: Callable[[], Asked],
    principle: Fraction,
    lpt_price_eth: Fraction | None,
    costs_a_month: Fraction,
    horizon: str,
    trend: str,
    address: str | None,
    controller: str | None,
    rpc: tuple[str, ...],
    as_csv: bool,
    as_json: bool,
) -> None:
    """Estimate what a delegator and the operator may earn, as the Livepeer Explorer does, from the chain and the books.

    Inflation, stake, cuts and round length are read from the chain now; fees, gas and reward calls of the last ninety
    days come from HOSTS' books. Nothing is a promise.
    """
    if lpt_price_eth == 0:
        raise BadInput("--lpt-price-eth: an LPT that costs nothing gives no yield; leave it out")
    books = asked()
    where = find_where(books.fleet, None, rpc, controller, address)
    found = asyncio.run(_find(books, where, principle, lpt_price_eth, costs_a_month, horizon, trend))
    told = _told(found)
    if as_json:
        print_json({group: dict(rows) for group, rows in told.items()} | {"missing": list(books.errors)})
    elif as_csv:
        print_csv(("group", "name", "value"), [(group, *row) for group, rows in told.items() for row in rows])
    else:
        out = console()
        for group, rows in told.items():
            table = Table(group, "", box=None)
            for name, value in rows:
                table.add_row(name.replace("_", " "), "not known" if value is None else str(value))
            out.print(table)
    ctx.exit(books.exit_code)


async def _find(
    books: Asked,
    where: Where,
    principle: Fraction,
    lpt_price_eth: Fraction | None,
    costs_a_month: Fraction,
    horizon: str,
    trend: str,
) -> _Found:
    from livefleet.chain import connect
    from livefleet.ledger import (
        Horizon,
        InflationTrend,
        delegator_yield,
        operator_yield,
        read_rates,
        track_record,
    )

    async with await connect(where.network) as client:
        rates = await read_rates(client, where.address)
    record = track_record(books.books, now=rates.at, this_round=rates.round)
    inputs = rates.inputs(record, principle=principle, lpt_price_eth=lpt_price_eth, l1_block_s=where.network.l1_block_s)
    ahead, moves = Horizon(horizon), InflationTrend(trend)
    return _Found(
        inputs=inputs,
        delegator=delegator_yield(inputs, ahead, moves),
        operator=operator_yield(
            inputs,
            own_stake=rates.own_stake,
            gas_90_days=record.gas,
            costs_a_month=costs_a_month,
            horizon=ahead,
            trend=moves,
        ),
        days=record.days,
        rounds=record.rounds,
    )


def _told(found: _Found) -> dict[str, list[tuple[str, str | int | None]]]:
    inputs, delegator, operator = found.inputs, found.delegator, found.operator
    return {
        "inputs": [
            ("principle_lpt", _number(inputs.principle)),
            ("total_stake_lpt", _number(inputs.total_stake)),
            ("fees_90_days_eth", _number(inputs.fees_90_days)),
            ("books_cover_days", _number(found.days, 2)),
            ("fee_share", _number(inputs.fee_share)),
            ("reward_cut", _number(inputs.reward_cut)),
            ("treasury_cut", _number(inputs.treasury_cut)),
            ("reward_call_ratio", _number(inputs.reward_call_ratio, 6)),
            ("reward_calls_counted_over_rounds", found.rounds),
            ("inflation_a_round", _number(inputs.inflation, 9)),
            ("inflation_change_a_round", _number(inputs.inflation_change, 9)),
            ("total_supply_lpt", _number(inputs.total_supply)),
            ("total_active_stake_lpt", _number(inputs.total_active_stake)),
            ("round_length_l1_blocks", inputs.round_length),
            ("lpt_price_eth", _number(inputs.lpt_price_eth)),
            ("rounds_ahead", delegator.rounds),
        ],
        "delegator": [
            ("rewards_lpt", _number(delegator.rewards)),
            ("rewards_percent", _number(delegator.rewards_rate * 100, 6)),
            ("fees_eth", _number(delegator.fees)),
            ("fees_percent", _number(None if delegator.fees_rate is None else delegator.fees_rate * 100, 6)),
        ],
        "operator": [
            ("own_stake_lpt", _number(operator.own_stake)),
            ("rewards_lpt", _number(operator.rewards)),
            ("fees_eth", _number(operator.fees)),
            ("gas_eth", _number(operator.gas)),
            ("costs_eth", _number(operator.costs)),
            ("percent_of_own_stake", _number(None if operator.rate is None else operator.rate * 100, 6)),
        ],
    }


def _number(value: Fraction | None, digits: int = 18) -> str | None:
    """A fraction with at most so many digits behind the point, rounded to the nearest."""
    if value is None:
        return None
    scaled = round(value * 10**digits)
    text = f"{abs(scaled) // 10**digits}.{abs(scaled) % 10**digits:0{digits}d}".rstrip("0").rstrip(".")
    return f"-{text}" if scaled < 0 else text
