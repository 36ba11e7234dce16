"""`livefleet doctor`: what is wrong with hosts, and what to do about it."""

import time
from pathlib import Path

import click

from livefleet.cli.doctor_table import findings_table, in_short
from livefleet.cli.output import console, print_json
from livefleet.cli.selection import FLEET, PARALLEL, selecting
from livefleet.control import FleetExamination, HostExamination, Selection, examine_fleet
from livefleet.spec import Finding, NodeSpec, Role, load_fleet

__all__ = ["command"]


@click.command("doctor")
@selecting(host_option=False)
@FLEET
@PARALLEL
@click.option("--all", "show_all", is_flag=True, help="What is well, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    hosts: tuple[str, ...],
    *,
    roles: tuple[Role, ...],
    groups: tuple[str, ...],
    fleet: Path,
    parallel: int,
    show_all: bool,
    as_json: bool,
) -> None:
    """Examine HOSTS (all unless named): host, driver, GPUs, ports, DNS, certificate, clock, disk, chain, spec.

    Each finding comes with what to do. Asked are the hosts themselves, by ssh or right here, and from here the public
    door of orchestrators. Changes nothing.

    Exit code 1 where something is wrong with some host, 2 when the input is wrong, 3 when no host could be reached.
    """
    loaded = load_fleet(fleet)
    names = Selection(hosts, roles, groups).of(loaded)

    def told(host: HostExamination) -> None:
        click.echo(f"{host.host}: {in_short(host.findings)}", err=True)

    found = examine_fleet(loaded, names, outside=_outside, on_host=told, parallel=parallel)
    if as_json:
        print_json(_document(found))
    else:
        for host in found.hosts:
            console().print(findings_table(host.host, host.findings, show_all=show_all))
    ctx.exit(found.exit_code)


def _outside(node: NodeSpec) -> list[Finding]:
    """The public door as this machine sees it, which stands for gateways."""
    if node.orchestrator is None:
        return []
    from livefleet.doctor import judge_outside, look_from_outside

    return judge_outside(look_from_outside(node.orchestrator.service_uri), now=time.time(), where="here", strict=True)


def _document(found: FleetExamination) -> dict[str, object]:
    return {
        "hosts": [
            {"host": h.host, "reached": h.reached, "findings": [f.model_dump(mode="json") for f in h.findings]}
            for h in found.hosts
        ]
    }
