"""`livefleet chain proposal`: one treasury proposal whole, and what it would do."""

import asyncio
from collections.abc import Callable
from typing import Any

import click

from livefleet.cli.chain.governance import action_rows, find, pick_proposal, share_text, standing_json
from livefleet.cli.chain.where import Where, where_options
from livefleet.cli.output import console, print_json

__all__ = ["command"]


@click.command("proposal")
@click.argument("number", metavar="ID")
@click.option("--as", "account", metavar="ADDRESS", help="Whose votes to show; the spec's orchestrator unless given.")
@click.option("--all", "everything", is_flag=True, help="Look among all ever made; reads all blocks since.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@where_options
def command(
    number: str, account: str | None, *, where: Callable[[str | None], Where], everything: bool, as_json: bool
) -> None:
    """Show proposal ID: its text, what the treasury would do, decoded from the calls themselves, and the votes.

    ID is the proposal's number or its first digits. Exit code 2 for wrong input, 3 when the chain cannot be read.
    """
    place = where(account)
    row = asyncio.run(_read(place, number, everything=everything))
    if as_json:
        print_json(row)
    else:
        _print(row)


async def _read(place: Where, number: str, *, everything: bool) -> dict[str, Any]:
    from livefleet.chain import connect
    from livefleet.chain.vote_text import plain_text

    async with await connect(place.network) as client:
        found = await find(client, place.network, everything=everything)
        proposal = pick_proposal(found, number)
        standing = await found.governance.standing(proposal, place.orchestrator)
        round_ = await found.governance.current_round()
        return standing_json(proposal, standing, round_) | {
            "round": round_,
            "quota_parts": standing.quota,
            "account": place.orchestrator,
            "actions": action_rows(found, proposal),
            "description": plain_text(proposal.description),
        }


def _print(row: dict[str, Any]) -> None:
    from livefleet.spec.amounts import lpt_text, percent_text

    out = console()

    def say(text: str) -> None:
        out.print(text, markup=False)

    first, last = row["first_round_of_voting"], row["last_round_of_voting"]
    say(f"proposal {row['id']}: {row['state']}")
    say(f"by {row['proposer']}; votes count in rounds {first} to {last}, this is round {row['round']}\n")
    say("If it passes, the treasury")
    for number, action in enumerate(row["actions"], 1):
        say(f"  {number}. {action['text']}{'' if action['is_known'] else '   (not known here: find out what it does)'}")
    in_favour, against, abstain = (int(row[f"{side}_lptu"]) for side in ("for", "against", "abstain"))
    say(f"\nfor      {lpt_text(in_favour)} ({share_text(in_favour, in_favour + against)} of for and against)")
    say(f"against  {lpt_text(against)}\nabstain  {lpt_text(abstain)}")
    if row["quorum_lptu"] is not None:
        quorum, cast = int(row["quorum_lptu"]), in_favour + against + abstain
        say(f"quorum   {lpt_text(quorum)}, {share_text(cast, quorum)} of it cast")
    say(f"quota    {percent_text(row['quota_parts'])} of for and against must be for")
    if row["account"] is not None:
        say(f"own vote of {row['account']}: {_own(row)}")
    say(f"\n{row['description'].strip()}")


def _own(row: dict[str, Any]) -> str:
    from livefleet.spec.amounts import lpt_text

    if row["has_voted"]:
        return "cast"
    if row["weight_lptu"] is None:
        return f"its weight is known from round {row['first_round_of_voting']} on"
    weight = int(row["weight_lptu"])
    if not weight:
        return "it has none here"
    return f"not cast, {lpt_text(weight)}" + (
        f"; `livefleet chain vote {row['id']} for|against|abstain`" if row["state"] == "active" else ""
    )
