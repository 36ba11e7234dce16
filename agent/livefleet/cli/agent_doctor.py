"""`livefleet agent doctor NODE.yaml`: examine the host that this runs on."""

import asyncio
from pathlib import Path

import click

from livefleet.cli.doctor_table import exit_code_of, findings_table
from livefleet.cli.output import console

__all__ = ["doctor"]


@click.command()
@click.argument("node", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--all", "show_all", is_flag=True, help="What is well, too.")
@click.pass_context
def doctor(ctx: click.Context, node: Path, *, as_json: bool, show_all: bool) -> None:
    """Examine this host: what is wrong with it and what to do, whether NODE runs or not. Changes nothing.

    Exit code 1 where something is wrong, 0 where there are warnings at most.
    """
    from livefleet.doctor import examine
    from livefleet.kernel import SystemClock
    from livefleet.spec import load_node

    found = asyncio.run(examine(load_node(node), SystemClock()))
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        console().print(findings_table(found.node, found.findings, show_all=show_all))
    ctx.exit(exit_code_of(found.findings))
