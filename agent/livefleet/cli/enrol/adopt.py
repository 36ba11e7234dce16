"""`livefleet enrol adopt`: write enrolled hosts into the fleet file."""

from pathlib import Path

import click

from livefleet.cli.enrol.options import FLEET, JSON, open_store
from livefleet.cli.output import console, print_json

__all__ = ["command"]


@click.command("adopt")
@FLEET
@click.option("--dry-run", is_flag=True, help="Only print what would be written.")
@JSON
def command(fleet: Path, *, dry_run: bool, as_json: bool) -> None:
    """Write the hosts that were let in as one of a group into the fleet file, at the end of its `hosts`.

    All that stands there stays as it is, comments too, and the settings of these hosts stay what they were told.
    Publish the bundle afterwards: a host that pulls finds its slice there from then on.
    """
    from livefleet.control.enrol.adopt import adopt, newcomers

    hosts = newcomers(fleet, open_store(fleet).hosts())
    text = adopt(fleet, hosts, write=not dry_run)
    if as_json:
        print_json({"file": str(fleet), "adopted": [host.name for host in hosts], "text": text})
        return
    if not hosts:
        console().print(f"{fleet} has all that have enrolled")
        return
    console().print(text.rstrip("\n"), markup=False)
    if not dry_run:
        console().print(f"{fleet}: {len(hosts)} hosts more; now: livefleet bundle publish", markup=False)
