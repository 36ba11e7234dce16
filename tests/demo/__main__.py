"""`python -m tests.demo up|down --dir DIR`, as `./run demo` and `./run down` call it."""

import asyncio
from pathlib import Path

import click

from livefleet.cli.output import console, exit_code_of, print_json, report_failure
from livefleet.kernel import ExitCode, LivefleetError
from tests.demo.story import Story

_DIR = click.option("--dir", "folder", type=click.Path(path_type=Path), required=True, help="Where everything lives.")


@click.group()
def main() -> None:
    """A local chain, one node with every duty, a paid stream and a paid image, on this machine."""


@main.command()
@_DIR
@click.option("--json", "as_json", is_flag=True, help="The facts as one JSON document on stdout.")
@click.pass_context
def up(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Run the demo; running it again takes up what is there."""
    try:
        shown = asyncio.run(Story(folder.absolute(), console(stderr=as_json)).run())
    except LivefleetError as error:
        report_failure(error)
        ctx.exit(exit_code_of(error))
    if as_json:
        print_json(shown)
    ctx.exit(ExitCode.DONE if shown["ok"] else ExitCode.PARTLY_FAILED)


@main.command()
@_DIR
@click.option("--keep", is_flag=True, help="Leave the files.")
@click.pass_context
def down(ctx: click.Context, folder: Path, keep: bool) -> None:
    """Stop the node and the chain."""
    if not folder.exists():
        click.echo("nothing runs: the demo was not started here, or was stopped already")
        return
    try:
        asyncio.run(Story(folder.absolute(), console()).down(keep=keep))
    except LivefleetError as error:
        report_failure(error)
        ctx.exit(exit_code_of(error))


if __name__ == "__main__":
    main()
