"""`livefleet chain polls`: questions to stakers about the protocol itself."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from livefleet.cli.chain.governance import find
from livefleet.cli.chain.where import Where, where_options
from livefleet.cli.output import console, print_json

if TYPE_CHECKING:
    from livefleet.kernel import Address

__all__ = ["command"]


@click.command("polls")
@click.argument("address", required=False)
@click.option("--open", "only_open", is_flag=True, help="Only those that have not ended.")
@click.option("--all", "everything", is_flag=True, help="Every one ever made; reads all blocks since.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@where_options
def command(
    address: str | None, *, where: Callable[[str | None], Where], only_open: bool, everything: bool, as_json: bool
) -> None:
    """List protocol polls of about the last ten rounds, and what ADDRESS (the spec's orchestrator, unless given) said.

    Who said what is counted off chain, with the stake at a poll's end: here voters are counted, not their stake. Exit
    code 2 for wrong input, 3 when the chain cannot be read.
    """
    place = where(address)
    rows = asyncio.run(_read(place, only_open=only_open, everything=everything))
    if as_json:
        print_json({"account": place.orchestrator, "polls": rows})
    else:
        _print(place.orchestrator, rows)


async def _read(place: Where, *, only_open: bool, everything: bool) -> list[dict[str, Any]]:
    from livefleet.chain import connect
    from livefleet.chain.vote_text import title_of

    async with await connect(place.network) as client:
        found = await find(client, place.network, everything=everything)
        block = await client.rounds.block_num()
        polls = [one for one in found.beginnings.polls if not only_open or one.end_block >= block]
        choices = await found.governance.choices([poll.address for poll in polls], found.first, found.last)
        return [
            {
                "poll": poll.address,
                "subject": title_of(poll.subject),
                "end_l1_block": poll.end_block,
                "l1_blocks_left": max(poll.end_block - block + 1, 0),
                "yes_voters": sum(choice == 0 for choice in choices[poll.address].values()),
                "no_voters": sum(choice == 1 for choice in choices[poll.address].values()),
                "own_choice": choices[poll.address].get(place.orchestrator) if place.orchestrator else None,
            }
            for poll in reversed(polls)
        ]


def _print(account: "Address | None", rows: list[dict[str, Any]]) -> None:
    out = console()
    if not rows:
        out.print("no poll found; older ones need --all")
        return
    table = Table("poll", "L1 blocks left", "yes", "no", "own choice", "subject", box=None)
    for row in rows:
        own = {None: "none", 0: "yes", 1: "no"}.get(row["own_choice"], f"{row['own_choice']}")
        left = str(row["l1_blocks_left"]) if row["l1_blocks_left"] else "over"
        table.add_row(
            row["poll"],
            left,
            str(row["yes_voters"]),
            str(row["no_voters"]),
            own if account else "",
            escape(row["subject"]),
        )
    out.print(table)
