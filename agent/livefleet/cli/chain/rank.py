"""`livefleet chain rank`: where an orchestrator stands in the pool, and how far from falling out."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from livefleet.cli.chain.where import Where, where_options
from livefleet.cli.output import console, print_json
from livefleet.kernel import ExitCode

if TYPE_CHECKING:
    from livefleet.chain import Standing

__all__ = ["command"]


@click.command("rank")
@click.argument("address", required=False)
@click.option(
    "--margin",
    "percent",
    default=10,
    show_default=True,
    type=click.IntRange(0, 100),
    help="Warn below this percent of the stake above the cut-off.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@where_options
@click.pass_context
def command(
    ctx: click.Context,
    address: str | None,
    *,
    where: Callable[[str | None], Where],
    percent: int,
    as_json: bool,
) -> None:
    """Show the place of ADDRESS (the spec's orchestrator, unless given) in the pool for the next round.

    Exit code 1 when it is not in the pool or may soon fall out, 2 for wrong input, 3 when the chain cannot be read.
    """
    place = where(address)
    found = asyncio.run(_read(place))
    close = found.is_close(percent)
    if as_json:
        print_json(_document(found, close=close))
    else:
        _print(found, close=close)
    ctx.exit(ExitCode.PARTLY_FAILED if close or found.rank is None else ExitCode.DONE)


async def _read(place: Where) -> "Standing":
    from livefleet.chain import connect, read_standing

    async with await connect(place.network) as client:
        return await read_standing(client, place.address)


def _document(found: "Standing", *, close: bool) -> dict[str, Any]:
    return {
        "address": found.address,
        "rank": found.rank,
        "stake_lptu": str(found.stake),
        "pool_size": found.size,
        "pool_max_size": found.max_size,
        "cutoff_lptu": str(found.tail_stake) if found.full else None,
        "margin_lptu": None if found.margin is None else str(found.margin),
        "missing_lptu": str(found.missing),
        "places_below": found.places_below,
        "warning": _warning(found) if close or found.rank is None else None,
        "ahead": [{"address": member.address, "stake_lptu": str(member.stake)} for member in found.ahead],
        "behind": [{"address": member.address, "stake_lptu": str(member.stake)} for member in found.behind],
    }


def _print(found: "Standing", *, close: bool) -> None:
    from livefleet.ledger import coins

    out = console()
    rank = "not in the pool" if found.rank is None else f"rank {found.rank}"
    out.print(f"{found.address}: {rank} of {found.size} (room for {found.max_size}), {coins(found.stake)} LPT")
    if found.margin is not None:
        out.print(f"{coins(found.margin)} LPT above the cut-off; {found.places_below} member(s) would fall out before")
    if found.rank is not None and not found.full:
        out.print("the pool has room: nobody falls out")
    table = Table("member", "LPT", "distance", box=None)
    for member in (*reversed(found.ahead), *found.behind):
        table.add_row(member.address, coins(member.stake), coins(member.stake - found.stake))
    out.print(table)
    if close or found.rank is None:
        out.print(_warning(found), style="yellow", markup=False)


def _warning(found: "Standing") -> str:
    from livefleet.ledger import coins

    if found.rank is not None:
        return (
            f"it may fall out: {found.places_below} member(s) with less stake, {coins(found.margin or 0)} LPT "
            "above the cut-off; redeem what is due before it happens, and add stake"
        )
    if found.missing:
        return f"it lacks {coins(found.missing)} LPT; nothing brings it back by itself when others leave"
    return "there is room for it: it joins when its stake changes or its cuts are set again"
