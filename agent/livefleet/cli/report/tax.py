"""`livefleet report tax`: one line for each event that changed what the operator owns."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from livefleet.cli.output import console, print_json
from livefleet.cli.report.books import Asked, print_csv, report_options

if TYPE_CHECKING:
    from livefleet.ledger import TaxEvent

__all__ = ["command"]

_HEADER = ("date", "kind", "asset", "amount", "counterparty", "tx_hash", "gas_eth", "round", "host")
_PRICED = ("price", "value", "gas_value")


@click.command("tax")
@click.option(
    "--prices",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV `date,asset,price` of ETH and LPT in your currency.",
)
@click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@report_options
@click.pass_context
def command(
    ctx: click.Context,
    *,
    asked: Callable[[], Asked],
    prices: Path | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Tell each event of HOSTS' books (all with the duty `ledger`, unless named) that changed what you own.

    Income counts when the chain credits it, not when it is withdrawn. Dates are UTC, amounts exact in whole coins, what
    went out is negative. Prices come from the file alone: a day's price, else the last one within a week before.
    """
    from livefleet.ledger import read_prices, sums, tax_events

    known = read_prices(prices) if prices is not None else None
    found = asked()
    events = tax_events(found.within, known)
    header = (*_HEADER, *(_PRICED if known is not None else ()))
    rows = [_row(event, priced=known is not None) for event in events]
    added = {f"{kind} {asset.value}": amount for (kind, asset), amount in sums(events).items()}
    if as_csv:
        print_csv(header, rows)
    elif as_json:
        print_json({
            "events": [dict(zip(header, row, strict=True)) for row in rows],
            "sums": _coins(added),
            "values": _values(events) if known is not None else None,
            "unpriced": _unpriced(events) if known is not None else None,
            "missing": list(found.errors),
        })  # fmt: skip
    else:
        _print(header, rows, added, events if known is not None else ())
    if known is not None and (missing := _unpriced(events)):
        click.echo(f"{missing} line(s) have no price: give the days in {prices}", err=True)
    ctx.exit(found.exit_code)


def _row(event: "TaxEvent", *, priced: bool) -> list[Any]:
    from livefleet.ledger import coins

    cells: list[Any] = [
        event.at.strftime("%Y-%m-%d %H:%M:%S"),
        event.kind.value,
        event.asset.value,
        coins(event.amount),
        event.counterparty,
        "0x" + event.tx_hash.hex() if event.tx_hash else "",
        coins(event.gas),
        event.round,
        event.host,
    ]
    if priced:
        cells += [None if value is None else str(value) for value in (event.price, event.value, event.gas_value)]
    return cells


def _coins(added: dict[str, int]) -> dict[str, str]:
    from livefleet.ledger import coins

    return {name: coins(amount) for name, amount in added.items()}


def _values(events: "Sequence[TaxEvent]") -> dict[str, str]:
    """What the lines' values add up to, by kind; gas by itself."""
    from decimal import Decimal

    found: dict[str, Decimal] = {}
    for event in events:
        if event.value is not None:
            found[event.kind.value] = found.get(event.kind.value, Decimal(0)) + event.value
        if event.gas_value is not None:
            found["gas"] = found.get("gas", Decimal(0)) - event.gas_value
    return {kind: str(value) for kind, value in found.items()}


def _unpriced(events: "Sequence[TaxEvent]") -> int:
    return sum(
        (event.amount != 0 and event.value is None) or (event.gas != 0 and event.gas_value is None) for event in events
    )


def _print(
    header: Sequence[str], rows: Sequence[Sequence[Any]], added: dict[str, int], priced: "Sequence[TaxEvent]"
) -> None:
    out = console()
    table = Table(*header, box=None)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    out.print(table)
    for name, amount in _coins(added).items():
        out.print(f"{name}: {amount}", markup=False)
    for name, value in _values(priced).items():
        out.print(f"value of {name}: {value}", markup=False)
