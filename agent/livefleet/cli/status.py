"""`livefleet status`: ask every host how it is."""

import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from livefleet.cli.output import console, print_json
from livefleet.cli.status_words import lines, since
from livefleet.control import FleetStatus, HostStatus, fleet_status
from livefleet.spec import load_fleet

__all__ = ["command"]


@click.command("status")
@click.argument("hosts", nargs=-1)
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--parallel", type=click.IntRange(1), default=16, show_default=True, help="Hosts at once.")
@click.option("--brief", is_flag=True, help="One line a host, without what each of them does.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context, hosts: tuple[str, ...], fleet: Path, *, parallel: int, brief: bool, as_json: bool
) -> None:
    """Ask HOSTS (all unless named) how they are, by ssh or right here, and compare with the spec.

    Told of each: sessions, load, what was earned, prices, and what is wrong with it.

    Exit code 1 when a host cannot be asked or is not ready, 2 when the spec is wrong.
    """
    found = fleet_status(load_fleet(fleet), hosts, parallel=parallel)
    if as_json:
        print_json({"hosts": [_document(host) for host in found.hosts]})
    else:
        _print(console(), found)
        if not brief:
            _print_work(console(), found, time.time())
    ctx.exit(found.exit_code)


def _document(host: HostStatus) -> dict[str, Any]:
    return {
        "host": host.host,
        "role": host.role,
        "ready": host.ready,
        "drifted": host.drifted,
        "declared_digest": host.declared_digest,
        "error": host.error or None,
        "report": host.report.model_dump() if host.report else None,
    }


def _print(out: Console, found: FleetStatus) -> None:
    table = Table("host", "role", "ready", "version", "spec", "conditions that do not hold", box=None)
    for host in found.hosts:
        table.add_row(host.host, host.role, _ready(host), _version(host), _spec(host), _faults(host))
    out.print(table)
    for host in found.hosts:
        if host.error:
            out.print(f"{host.host}: {host.error}", markup=False)
        for scope in host.report.drain.scopes if host.report else ():
            out.print(f"{host.host}: {f'{scope.device} ' if scope.device else ''}{scope.text}", markup=False)


def _print_work(out: Console, found: FleetStatus, now: float) -> None:
    for host in found.hosts:
        if host.report is None:
            continue
        up = since(now - host.report.started_at) if host.report.started_at else "?"
        table = Table(f"\n{host.host}", f"\nup for {up}", box=None, header_style="bold")
        for what, told in lines(host.report, now):
            table.add_row(what, Text(told))
        out.print(table)


def _ready(host: HostStatus) -> str:
    if host.report is None:
        return "[red]unreachable[/]"
    return "[green]yes[/]" if host.ready else "[red]no[/]"


def _version(host: HostStatus) -> str:
    return host.report.version if host.report else "-"


def _spec(host: HostStatus) -> str:
    if host.report is None:
        return "-"
    return "[yellow]differs: apply[/]" if host.drifted else "as declared"


def _faults(host: HostStatus) -> str:
    return ", ".join(f"{c.name}{f' {c.subject}' if c.subject else ''} ({c.reason})" for c in host.faults) or "-"
