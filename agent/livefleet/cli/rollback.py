"""`livefleet rollback`: let hosts run again what they ran before the last change."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from livefleet.cli.output import console, print_json
from livefleet.control import ApplyOptions, Event, Outcome, apply
from livefleet.kernel import BadInput

__all__ = ["command"]


@click.command("rollback")
@click.argument("hosts", nargs=-1, required=True)
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--parallel", type=click.IntRange(1), default=20, show_default=True, help="Hosts at once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; progress stays on stderr.")
@click.pass_context
def command(
    ctx: click.Context, hosts: tuple[str, ...], fleet: Path, *, yes: bool, parallel: int, as_json: bool
) -> None:
    """Let HOSTS run again what they ran before the last change: release, node.yaml, secrets and unit, all at once.

    Each host keeps that itself, one step back. The fleet file still declares what is new: the next apply brings it
    again. Exit code 1 when a host failed or has nothing older, 2 when the input is wrong.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("without a terminal there is nobody to ask: give --yes")
        if not click.confirm(f"Take {', '.join(hosts)} back to what ran before?", default=False, err=True):
            raise BadInput("nothing was changed")
    err = console(stderr=True)

    def tell(event: Event) -> None:
        if event.event == "note" and event.step != "diff":
            err.print(f"{event.host}  {event.text}", markup=False)

    summary = apply(fleet, ApplyOptions(hosts, rollback=True, parallel=parallel), on_event=tell)
    if as_json:
        print_json({"complete": summary.complete, "hosts": [asdict(host) for host in summary.hosts]})
    else:
        out = console()
        for host in summary.hosts:
            told = {Outcome.CHANGED: "went back, and serves", Outcome.UNCHANGED: "is back already"}
            out.print(f"{host.host}: {told.get(host.outcome, host.reason)}", markup=False)
    ctx.exit(summary.exit_code)
