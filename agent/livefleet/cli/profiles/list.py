"""`livefleet profiles list`: every profile that a fleet can name."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from livefleet.cli.output import console, print_json
from livefleet.cli.profiles.folders import FLEET, folders_for
from livefleet.kernel import ExitCode
from livefleet.spec import SpecError, profile_names, resolve_profile

__all__ = ["command"]


@click.command("list")
@FLEET
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, fleet: Path, *, as_json: bool) -> None:
    """Names of all profiles, each with a line about it.

    A host names one, `profile: rtx-3060`, or several of which the later wins, `profile: [solo, rtx-3060]`. Exit code 2:
    a profile is wrong; the others are listed all the same.
    """
    folders = folders_for(fleet)
    rows, problems = [], []
    for name in profile_names(folders):
        try:
            rows.append(_row(name, folders))
        except SpecError as error:
            problems += [str(problem) for problem in error.problems]
    if as_json:
        print_json({"profiles": rows, "problems": problems})
    else:
        _print(rows)
        for problem in problems:
            click.echo(problem, err=True)
    ctx.exit(ExitCode.BAD_INPUT if problems else ExitCode.DONE)


def _row(name: str, folders: tuple[Path, ...]) -> dict[str, Any]:
    found = resolve_profile(name, folders)
    role = found.layer.role
    return {
        "profile": name,
        "description": found.layer.description or "",
        "extends": list(found.chain[1:]),
        "cards": list(found.layer.cards or ()),
        "role": None if role is None else role.value,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table("PROFILE", "BUILDS ON", "WHAT IT IS FOR", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["profile"], ", ".join(row["extends"]), row["description"])
    console().print(table)
