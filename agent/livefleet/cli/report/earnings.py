"""`livefleet report earnings`: fees, rewards and gas by round, gateway and host."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from livefleet.cli.output import console, print_json
from livefleet.cli.report.books import Asked, print_csv, report_options
from livefleet.cli.report.history import with_history

if TYPE_CHECKING:
    from livefleet.ledger import By, Earnings

__all__ = ["command"]

_NAMES = ("round", "gateway", "host")
_AMOUNTS = (
    "face_value", "fees", "own_fees", "shortfall", "gas", "net_eth", "rewards", "own_rewards", "pending", "lost",
)  # fmt: skip
_LPT = ("rewards", "own_rewards")
_WORDS = {
    "tickets": "winning tickets used up on chain",
    "face_value": "their face value",
    "fees": "what they paid, delegators' part included",
    "own_fees": "of that, your own",
    "shortfall": "face value that senders could not pay",
    "gas": "spent by your keys",
    "net_eth": "own fees less gas",
    "rewards": "LPT minted by your reward calls, delegators' part included",
    "own_rewards": "of that, your own",
    "pending": "face value of winning tickets that wait",
    "lost": "face value of winning tickets that can never be redeemed",
}


@click.command("earnings")
@click.option(
    "--by",
    "by",
    default="round",
    show_default=True,
    metavar="NAMES",
    help="Of round,gateway,host; several with commas.",
)
@click.option(
    "--history", is_flag=True, help="Also the time before the books, by the spec's subgraph; whole fees only."
)
@click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout; amounts in wei and LPTU.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; likewise.")
@report_options
@click.pass_context
def command(
    ctx: click.Context, *, asked: Callable[[], Asked], by: str, history: bool, as_csv: bool, as_json: bool
) -> None:
    """Tell what HOSTS (all with the duty `ledger`, unless named) earned and spent.

    A fee is told under the host whose store held the ticket, rewards under none: they are the stake's. Exit code 1 when
    a host's books are missing, 2 for wrong input, 3 when none can be had.
    """
    from livefleet.ledger import earnings, total

    names = _names(by)
    found = with_history(asked()) if history else asked()
    rows = earnings(found.within, names)
    whole = total(rows)
    if as_json:
        print_json({
            "by": [name.value for name in names],
            "rows": [_document(row, names) for row in rows],
            "total": _document(whole, ()),
            "missing": list(found.errors),
        })  # fmt: skip
    elif as_csv:
        header = [
            *(name.value for name in names),
            "tickets",
            *(f"{n}_{'lptu' if n in _LPT else 'wei'}" for n in _AMOUNTS),
        ]
        print_csv(header, [_cells(row) for row in rows])
    else:
        _print(rows, whole, names)
    ctx.exit(found.exit_code)


def _names(text: str) -> "tuple[By, ...]":
    from livefleet.kernel import BadInput
    from livefleet.ledger import By

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if unknown := [name for name in names if name not in _NAMES]:
        raise BadInput(f"--by: {', '.join(map(repr, unknown))} is none of {', '.join(_NAMES)}")
    return tuple(By(name) for name in names)


def _cells(row: "Earnings") -> list[object]:
    return [*row.key, row.tickets, *(getattr(row, name) for name in _AMOUNTS)]


def _document(row: "Earnings", names: "Sequence[By]") -> dict[str, Any]:
    keys = {name.value: part or None for name, part in zip(names, row.key, strict=True)}
    return keys | {"tickets": row.tickets} | {name: str(getattr(row, name)) for name in _AMOUNTS}


def _print(rows: "Sequence[Earnings]", whole: "Earnings", names: "Sequence[By]") -> None:
    from livefleet.ledger import coins

    used = [name for name in _AMOUNTS if getattr(whole, name) or name in ("own_fees", "gas", "own_rewards")]
    table = Table(box=None)
    for told_by in names:
        table.add_column(told_by.value)
    table.add_column("tickets", justify="right")
    for name in used:
        table.add_column(f"{name.replace('_', ' ')} {'LPT' if name in _LPT else 'ETH'}", justify="right")
    for row in rows:
        table.add_row(
            *(part or "-" for part in row.key), str(row.tickets), *(coins(getattr(row, name)) for name in used)
        )
    if rows:
        table.add_section()
    table.add_row(
        *("total" if place == 0 else "" for place, _ in enumerate(names)),
        str(whole.tickets),
        *(coins(getattr(whole, name)) for name in used),
    )
    out = console()
    out.print(table)
    out.print("; ".join(f"{name.replace('_', ' ')}: {_WORDS[name]}" for name in ("tickets", *used)), style="dim")
