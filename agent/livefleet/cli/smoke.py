"""`livefleet smoke`: small paid jobs by a gateway of ours, which show whether hosts earn."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livefleet.cli.duration import duration
from livefleet.cli.output import console, print_json
from livefleet.cli.smoke_show import print_smoke, smoke_document, smoke_line
from livefleet.kernel import BadInput

if TYPE_CHECKING:
    from livefleet.control import FleetSmoke, Smoke
    from livefleet.control.stop import Stop
    from livefleet.spec import Fleet

__all__ = ["command", "smoke_of"]


def smoke_of(
    fleet: "Fleet", *, hosts: Sequence[str] = (), only: Sequence[str] = (), stop: "Stop | None" = None
) -> "Smoke":
    """What tries one host at a time, for whoever changes hosts and wants to see them earn afterwards.

    `hosts`: which it will be asked about, all unless given. `stop`: cuts jobs off once it is asked for. Raises BadInput
    where the paying key is missing or wrong, so that this is known before anything was changed.
    """
    from livefleet.cli.smoke_hosts import FleetSmoker

    return FleetSmoker(fleet, hosts=hosts, only=only, stop=stop)


@click.command("smoke")
@click.argument("hosts", nargs=-1)
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--only", multiple=True, metavar="WORK", help="`video`, or a pipeline such as `llm`; repeatable.")
@click.option("--parallel", type=click.IntRange(1), default=4, show_default=True, help="Hosts at once.")
@click.option("--every", type=duration, metavar="TIME", help="Again and again, such as every `1h`, until ctrl-c.")
@click.option("--times", type=click.IntRange(1), help="With --every, stop after so many rounds.")
@click.option(
    "--textfile",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.prom",
    help="Write the results there for node exporter's textfile collector.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a round on stdout; progress stays on stderr.")
@click.pass_context
def command(
    ctx: click.Context,
    hosts: tuple[str, ...],
    fleet: Path,
    *,
    only: tuple[str, ...],
    parallel: int,
    every: float | None,
    times: int | None,
    textfile: Path | None,
    as_json: bool,
) -> None:
    """Pay each of HOSTS (all unless named) for a small job, as any gateway would, and check what comes back.

    An orchestrator transcodes a generated clip of a few seconds and answers one smallest request to each model that it
    declares or offers. A worker is tried through the orchestrator that it joined, and has to count the job itself. A
    host without work for gateways is only asked whether it is ready. The account that pays is `smoke.key` of the spec,
    and no more tickets are signed than `smoke.max_spend` allows; off chain nothing is paid.

    With --every it is a schedule: the spec is read again before each round, and each may cost `smoke.max_spend` a host.

    Exit code 1 when some host failed, 2 when the input is wrong (nothing was paid), 3 when all failed; of the last
    round, where there are several.
    """

    def a_round() -> "FleetSmoke":
        found = _round(fleet, hosts, only=only, parallel=parallel)
        if as_json:
            print_json(smoke_document(found))
        else:
            print_smoke(console(), found)
        if textfile is not None:
            _write(textfile, found)
        return found

    found = a_round()
    rounds = 1
    try:
        while every is not None and (times is None or rounds < times):
            time.sleep(every)
            found = a_round()
            rounds += 1
    except KeyboardInterrupt:
        pass
    ctx.exit(found.exit_code)


def _round(fleet: Path, hosts: tuple[str, ...], *, only: tuple[str, ...], parallel: int) -> "FleetSmoke":
    from livefleet.control import smoke_fleet
    from livefleet.spec import load_fleet

    loaded = load_fleet(fleet)
    names = [host for host in loaded.hosts if not hosts or host in hosts]
    smoke = smoke_of(loaded, hosts=hosts, only=only)
    out = console(stderr=True)
    return smoke_fleet(
        names, smoke, on_result=lambda result: out.print(smoke_line(result), markup=False), parallel=parallel
    )


def _write(textfile: Path, found: "FleetSmoke") -> None:
    from livefleet.health.smoke_textfile import SmokeReading, write_smoke_textfile

    readings = [
        SmokeReading(host.host, job.what, job.passed, job.took_s) for host in found.hosts for job in host.jobs
    ] + [SmokeReading(host.host, "none", passed=False, took_s=host.took_s) for host in found.hosts if not host.jobs]
    try:
        write_smoke_textfile(textfile, readings, at=time.time())
    except OSError as error:
        raise BadInput(f"{textfile} cannot be written: {error.strerror}") from error
