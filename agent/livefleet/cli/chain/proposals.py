"""`livefleet chain proposals`: what the treasury is asked to pay, and how the votes stand."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from livefleet.cli.chain.governance import action_rows, find, standing_json
from livefleet.cli.chain.where import Where, where_options
from livefleet.cli.output import console, print_json

if TYPE_CHECKING:
    from livefleet.kernel import Address

__all__ = ["command"]

_DIGITS = 10


@click.command("proposals")
@click.argument("address", required=False)
@click.option("--open", "only_open", is_flag=True, help="Only those whose vote is coming or going on.")
@click.option("--all", "everything", is_flag=True, help="Every one ever made; reads all blocks since.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@where_options
def command(
    address: str | None, *, where: Callable[[str | None], Where], only_open: bool, everything: bool, as_json: bool
) -> None:
    """List treasury proposals of about the last voting period.

    Own votes are those of ADDRESS, which is the spec's orchestrator unless given. Exit code 2 for wrong input, 3 when
    the chain cannot be read.
    """
    place = where(address)
    rows = asyncio.run(_read(place, only_open=only_open, everything=everything))
    if as_json:
        print_json({"account": place.orchestrator, "proposals": rows})
    else:
        _print(place.orchestrator, rows)


async def _read(place: Where, *, only_open: bool, everything: bool) -> list[dict[str, Any]]:
    from livefleet.chain import connect

    async with await connect(place.network) as client:
        found = await find(client, place.network, everything=everything)
        round_ = await found.governance.current_round()
        rows = []
        for proposal in reversed(found.beginnings.proposals):
            standing = await found.governance.standing(proposal, place.orchestrator)
            if standing.state.is_open or not only_open:
                actions = [row["text"] for row in action_rows(found, proposal)]
                rows.append(standing_json(proposal, standing, round_) | {"actions": actions})
        return rows


def _print(account: "Address | None", rows: list[dict[str, Any]]) -> None:
    from livefleet.spec.amounts import lpt_text

    out = console()
    if not rows:
        out.print("no proposal found; older ones need --all")
        return
    table = Table("proposal", "state", "voting rounds", "for", "against", "abstain", "own vote", "title", box=None)
    for row in rows:
        table.add_row(
            row["id"][:_DIGITS] + "…",
            row["state"],
            f"{row['first_round_of_voting']} to {row['last_round_of_voting']}",
            *(lpt_text(int(row[f"{side}_lptu"])) for side in ("for", "against", "abstain")),
            _own(row),
            escape(row["title"]),
        )
    out.print(table)
    if account is not None:
        out.print(f"own vote: that of {account}")


def _own(row: dict[str, Any]) -> str:
    from livefleet.spec.amounts import lpt_text

    if row["has_voted"] is None:
        return ""
    if row["has_voted"]:
        return "cast"
    if row["weight_lptu"] is None:
        return "later"
    weight = int(row["weight_lptu"])
    if not weight:
        return "no votes"
    return f"{'waits' if row['state'] == 'active' else 'not cast'}, {lpt_text(weight)}"
