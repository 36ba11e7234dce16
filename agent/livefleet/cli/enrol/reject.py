"""`livefleet enrol reject`: do not let a host in, or no longer hear it."""

from pathlib import Path

import click

from livefleet.cli.enrol.approve import code_as_kept
from livefleet.cli.enrol.options import FLEET, JSON, open_store
from livefleet.cli.output import console, print_json

__all__ = ["command"]


@click.command("reject")
@click.argument("code")
@FLEET
@JSON
def command(code: str, fleet: Path, *, as_json: bool) -> None:
    """Tell the host with this CODE no. One that was let in before keeps what it was told: change its secrets.

    `livefleet enrol approve` takes it back.
    """
    from livefleet.control.enrol.records import HostState
    from livefleet.control.journal import operator_name

    before = open_store(fleet).reject(code_as_kept(code), operator_name())
    was_in = before.state is HostState.ENROLLED
    if as_json:
        print_json({"code": before.code, "name": before.name, "was": before.state.value})
        return
    told = f"; it was let in as {before.name} and knows its secrets: change them, and take it out of the fleet file"
    console().print(f"{before.code}: rejected{told if was_in else ''}", markup=False)
