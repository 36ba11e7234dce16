"""`livefleet drain`: empty hosts, or devices of theirs, before somebody works on them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from livefleet.cli.duration import duration
from livefleet.cli.output import console, print_json
from livefleet.control import DrainOutcome, DrainRequest, FleetDrain, HostDrain, drain_fleet
from livefleet.kernel import BadInput
from livefleet.spec import Fleet, load_fleet

__all__ = ["command"]

_STYLE = {
    DrainOutcome.ASKED: "yellow",
    DrainOutcome.DRAINING: "yellow",
    DrainOutcome.DRAINED: "green",
    DrainOutcome.IN_SERVICE: "green",
}


@click.command("drain")
@click.argument("fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml")
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="Only this host; may be repeated.")
@click.option("--device", "devices", multiple=True, metavar="ID", help="Only this device (`cpu`, a GPU's UUID).")
@click.option("--deadline", type=duration, default="10m", show_default=True, help="How long running streams may go on.")
@click.option("--reason", default="", metavar="TEXT", help="Why; shown wherever the hosts tell how they are.")
@click.option("--off", is_flag=True, help="Take it back: serve again.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Show progress until it is done.")
@click.option("--yes", is_flag=True, help="Do not ask before a whole fleet is emptied.")
@click.option("--parallel", type=click.IntRange(1), default=16, show_default=True, help="Hosts at once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; progress stays on stderr.")
@click.pass_context
def command(
    ctx: click.Context,
    fleet: Path,
    *,
    hosts: tuple[str, ...],
    devices: tuple[str, ...],
    deadline: float,
    reason: str,
    off: bool,
    wait: bool,
    yes: bool,
    parallel: int,
    as_json: bool,
) -> None:
    """Empty hosts of FLEET: no new sessions, running ones end by themselves or move, nothing in flight is cut.

    Hosts stay emptied, over restarts too, until `--off`. Exit code 1 when a host failed or was not emptied in time (the
    others go on), 2 when the input is wrong, 3 when no host could be reached.
    """
    loaded = load_fleet(fleet)
    if not (hosts or off or yes):
        _make_sure(loaded)
    request = DrainRequest(devices, deadline, reason, off=off, wait=wait)
    out = console(stderr=True)
    found = drain_fleet(loaded, hosts, request, on_change=lambda host: _say(out, host), parallel=parallel)
    if as_json:
        print_json({"hosts": [_document(host) for host in found.hosts]})
    else:
        _print(console(), found)
    ctx.exit(found.exit_code)


def _make_sure(fleet: Fleet) -> None:
    names: Sequence[str] = list(fleet.hosts)
    if len(names) < 2:
        return
    if not sys.stdin.isatty():
        raise BadInput(f"this would empty all {len(names)} hosts: name some by --host, or give --yes")
    if not click.confirm(f"Empty all {len(names)} hosts ({', '.join(names)})?", default=False, err=True):
        raise BadInput("nothing was asked of any host")


def _say(out: Console, host: HostDrain) -> None:
    out.print(f"{host.host}  {host.text or host.outcome.value}", markup=False)


def _print(out: Console, found: FleetDrain) -> None:
    for host in found.hosts:
        style = _STYLE.get(host.outcome, "red")
        out.print(f"{host.host}: [{style}]{host.outcome.value}[/]")


def _document(host: HostDrain) -> dict[str, Any]:
    return {
        "host": host.host,
        "outcome": host.outcome.value,
        "text": host.text or None,
        "drain": host.report.model_dump(mode="json"),
    }
