"""`livefleet diag`: a bundle for whoever helps from afar, without secrets."""

import time
from pathlib import Path

import click

from livefleet.cli.duration import duration
from livefleet.cli.output import print_json
from livefleet.cli.selection import FLEET, PARALLEL, selecting
from livefleet.control import HostDiagnostics, Selection, fetch_diagnostics, operator_items, write_bundle
from livefleet.kernel import BadInput
from livefleet.spec import Role, load_fleet

__all__ = ["command"]


@click.command("diag")
@selecting(host_option=False)
@FLEET
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.tar.gz",
    help="The bundle.  [default: livefleet-diag-FLEET-TIME.tar.gz]",
)
@click.option("--deadline", type=duration, default="60s", show_default=True, help="How long a host may collect.")
@PARALLEL
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    hosts: tuple[str, ...],
    *,
    roles: tuple[Role, ...],
    groups: tuple[str, ...],
    fleet: Path,
    output: Path | None,
    deadline: float,
    parallel: int,
    as_json: bool,
) -> None:
    """Collect diagnostics of HOSTS (all unless named) into one file.

    In it: status, node.yaml, logs, GPUs, versions, disk, network, clock, packages, kernel messages, what was applied.

    Secrets are masked on each host before anything leaves it: values of its keys and secrets, and whatever looks like
    one. Look into the bundle all the same before you pass it on; names and addresses of hosts are in it.

    Exit code 1 when a host could not be asked (the bundle has the others), 2 when the input is wrong, 3 when none could
    be asked.
    """
    loaded = load_fleet(fleet)
    names = Selection(hosts, roles, groups).of(loaded)
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    path = output or Path(f"livefleet-diag-{loaded.name}-{stamp}.tar.gz")
    if path.exists():
        raise BadInput(f"{path} is there already: name another by -o")

    def show(host: HostDiagnostics) -> None:
        told = host.error or f"{len(host.items)} items in {host.took_s:.1f} s"
        click.echo(f"{host.host}: {told}", err=True)
        for note in host.notes:
            click.echo(f"{host.host}: {note}", err=True)

    found = fetch_diagnostics(loaded, names, deadline_s=deadline, parallel=parallel, on_host=show)
    size = write_bundle(path, loaded, found, operator_items(loaded, names), at=now)
    if as_json:
        about = [
            {"host": h.host, "items": sorted(h.items), "notes": h.notes, "error": h.error or None} for h in found.hosts
        ]
        print_json({"file": str(path), "bytes": size, "hosts": about})
    else:
        click.echo(f"{path}: {size / 1024:,.0f} KiB")
    ctx.exit(found.exit_code)
