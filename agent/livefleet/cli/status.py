"""`livefleet status`: ask every host how it is."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from livefleet.cli.output import console, print_json
from livefleet.cli.status_words import lines, since
from livefleet.cli.watching import EVERY, TIMES, watch
from livefleet.control import FleetStatus, HostStatus, fleet_status
from livefleet.kernel import ExitCode
from livefleet.spec import load_fleet

__all__ = ["command"]


@click.command("status")
@click.argument("hosts", nargs=-1)
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--parallel", type=click.IntRange(1), default=16, show_default=True, help="Hosts at once.")
@click.option("--brief", is_flag=True, help="One line a host, without what each of them does.")
@click.option("--watch", "watching", is_flag=True, help="Ask again and again.")
@EVERY
@TIMES
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    hosts: tuple[str, ...],
    fleet: Path,
    *,
    parallel: int,
    brief: bool,
    watching: bool,
    every: float,
    times: int | None,
    as_json: bool,
) -> None:
    """Ask HOSTS (all unless named) how they are, by ssh or right here, and compare with the spec.

    --watch asks again every few seconds until ctrl-c (--times says how often at most).

    Told of each: sessions, load, what was earned, prices, and what is wrong with it.

    Exit code 1 when a host cannot be asked or is not ready, 2 when the spec is wrong.
    """
    loaded = load_fleet(fleet)
    if watching and as_json:
        raise click.UsageError("--watch is for people; `livefleet status --json` gives one look")
    last: list[FleetStatus] = []

    def look() -> FleetStatus:
        last[:] = [fleet_status(loaded, hosts, parallel=parallel)]
        return last[0]

    if watching:
        watch(console(), lambda: Group(*_told(look(), brief=brief)), every_s=every, times=times)
    elif as_json:
        print_json({"hosts": [_document(host) for host in look().hosts]})
    else:
        for part in _told(look(), brief=brief):
            console().print(part)
    ctx.exit(last[0].exit_code if last else ExitCode.DONE)


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


def _told(found: FleetStatus, *, brief: bool) -> Iterator[RenderableType]:
    table = Table("host", "role", "ready", "version", "spec", "conditions that do not hold", box=None)
    for host in found.hosts:
        table.add_row(host.host, host.role, _ready(host), _version(host), _spec(host), _faults(host))
    yield table
    for host in found.hosts:
        if host.error:
            yield Text(f"{host.host}: {host.error}")
        for scope in host.report.drain.scopes if host.report else ():
            yield Text(f"{host.host}: {f'{scope.device} ' if scope.device else ''}{scope.text}")
    if not brief:
        yield from _work(found, time.time())


def _work(found: FleetStatus, now: float) -> Iterator[RenderableType]:
    for host in found.hosts:
        if host.report is None:
            continue
        up = since(now - host.report.started_at) if host.report.started_at else "?"
        table = Table(f"\n{host.host}", f"\nup for {up}", box=None, header_style="bold")
        for what, told in lines(host.report, now):
            table.add_row(what, Text(told))
        yield table


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
