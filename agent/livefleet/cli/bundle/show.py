"""`livefleet bundle show`: what is published, and how long it is believed."""

from datetime import UTC, datetime
from pathlib import Path

import click

from livefleet.cli.bundle.options import FOLDER
from livefleet.cli.output import console, print_json
from livefleet.kernel import ExitCode

__all__ = ["command"]


@click.command("show")
@FOLDER
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, folder: Path, *, as_json: bool) -> None:
    """Say what FOLDER tells hosts. Exit code 1 when nothing is published, or when it is no longer believed."""
    from livefleet.control.bundle import Bundle

    state = Bundle(folder, folder).state()
    now = datetime.now(UTC)
    believed = state is not None and state.expires > now
    if as_json:
        print_json(
            {
                "version": None if state is None else state.version,
                "expires": None if state is None else state.expires.astimezone(UTC).isoformat(),
                "believed": believed,
                "hosts": {} if state is None else dict(state.hosts),
            }
        )
    elif state is None:
        console().print(f"{folder}: nothing is published yet; `livefleet bundle publish {folder}`", markup=False)
    else:
        for host, sha256 in state.hosts.items():
            console().print(f"  {host}  {sha256[:16]}", markup=False)
        told = f"believed until {state.expires:%Y-%m-%d %H:%M} UTC" if believed else "no longer believed: publish again"
        plural = "" if len(state.hosts) == 1 else "s"
        console().print(f"version {state.version}, {len(state.hosts)} host{plural}, {told}", markup=False)
    ctx.exit(ExitCode.DONE if believed else ExitCode.PARTLY_FAILED)
