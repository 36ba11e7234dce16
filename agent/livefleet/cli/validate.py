"""`livefleet validate`: every mistake of a fleet spec at once, or a short summary."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from livefleet.cli.output import console, print_json
from livefleet.kernel import ExitCode
from livefleet.spec import Fleet, Problem, SpecError, card_warnings, load_fleet, unfinished

__all__ = ["command"]


@click.command("validate")
@click.argument("fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, problems included.")
@click.pass_context
def command(ctx: click.Context, fleet: Path, *, as_json: bool) -> None:
    """Check FLEET (fleet.yaml, or $LIVEFLEET_SPEC) and the profiles it names. Nothing is contacted.

    Exit code 2 when something is wrong; each problem says file:line:column and what to do. What is right but still a
    placeholder, a secret that is not there yet, and what the declared cards will hardly do are told on stderr as
    warnings.
    """
    try:
        loaded = load_fleet(fleet)
    except SpecError as error:
        if as_json:
            print_json({"ok": False, "file": str(fleet), "problems": [asdict(problem) for problem in error.problems]})
        else:
            count = len(error.problems)
            click.echo(f"{error}\n{count} problem{'s' if count > 1 else ''} found", err=True)
        ctx.exit(ExitCode.BAD_INPUT)
    summary, warnings = _summary(loaded), (*unfinished(loaded, os.environ), *_of_cards(loaded))
    if as_json:
        found = [asdict(warning) for warning in warnings]
        print_json({"ok": True, "file": str(fleet), **summary, "problems": [], "warnings": found})
    else:
        _print(summary, warnings)


def _of_cards(fleet: Fleet) -> list[Problem]:
    return sorted({found for host in fleet.hosts for found in card_warnings(fleet.node(host), fleet.origins(host))})


def _summary(fleet: Fleet) -> dict[str, Any]:
    nodes = [fleet.node(name) for name in fleet.hosts]
    duties = Counter(duty for node in nodes for duty, settings in node.duties if settings is not None)
    return {
        "fleet": fleet.name,
        "network": fleet.spec.network.name.value,
        "hosts": len(nodes),
        "roles": dict(sorted(Counter(node.role.value for node in nodes).items())),
        "duties": dict(sorted(duties.items())),
        "models": sorted({model.model_id for node in nodes for model in node.models}),
    }


def _print(summary: dict[str, Any], warnings: Sequence[Problem]) -> None:
    out = console()
    roles = ", ".join(_count(count, role) for role, count in summary["roles"].items())
    hosts = _count(summary["hosts"], "host")
    out.print(f"fleet {summary['fleet']} on {summary['network']}: {hosts} ({roles})", markup=False)
    if summary["duties"]:
        out.print(
            "duties: " + ", ".join(f"{duty} on {count}" for duty, count in summary["duties"].items()), markup=False
        )
    if summary["models"]:
        out.print("models: " + ", ".join(summary["models"]), markup=False)
    out.print("ok")
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
