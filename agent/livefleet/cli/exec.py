"""`livefleet exec`: one command on every host, or on some."""

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from livefleet.cli.duration import duration
from livefleet.cli.output import print_json
from livefleet.cli.selection import FLEET, PARALLEL, selecting
from livefleet.control import FleetRun, Selection, Session, run_on_hosts, words_of
from livefleet.spec import Role, load_fleet

__all__ = ["command"]


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
@selecting(host_option=True)
@FLEET
@click.option("--timeout", type=duration, default="60s", show_default=True, help="When to give up on a host.")
@click.option("--as-login-user", is_flag=True, help="Without sudo, where the spec has `ssh.sudo`.")
@PARALLEL
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; lines stay on stderr.")
@click.pass_context
def command(
    ctx: click.Context,
    words: tuple[str, ...],
    *,
    hosts: tuple[str, ...],
    roles: tuple[Role, ...],
    groups: tuple[str, ...],
    fleet: Path,
    timeout: float,
    as_login_user: bool,
    parallel: int,
    as_json: bool,
) -> None:
    """Run COMMAND on the hosts, in parallel, with the rights that `apply` has there. Its output is not masked.

    Several words are a program and its arguments, as they stand: `livefleet exec -- systemctl status livefleet`. A
    single word is read by the host's shell: `livefleet exec -- 'df -h / | tail -1'`. Lines come as they are printed,
    each with its host's name before it unless one host alone is asked. The command line is seen in the host's list of
    processes: no secrets in it.

    Exit code 1 when the command failed on a host or one could not be asked (the others go on), 2 when the input is
    wrong, 3 when no host could be asked.
    """
    loaded = load_fleet(fleet)
    names = Selection(hosts, roles, groups).of(loaded)
    width = max(map(len, names))
    session = Session(words_of(words), timeout_s=timeout, as_login_user=as_login_user)

    def show(host: str, line: str, error: bool) -> None:
        prefix = f"{host:<{width}} | " if len(names) > 1 else ""
        click.echo(f"{prefix}{line}", file=sys.stderr if error or as_json else sys.stdout)

    found = run_on_hosts(loaded, names, session, on_line=show, parallel=parallel)
    if as_json:
        print_json({"hosts": [asdict(host) for host in found.hosts]})
    _summarize(found)
    ctx.exit(found.exit_code)


def _summarize(found: FleetRun) -> None:
    """Only where there is more to say than the output did."""
    for host in found.hosts:
        if host.error:
            click.echo(f"{host.host}: {host.error}", err=True)
        elif not host.done:
            click.echo(f"{host.host}: ended with {host.code}", err=True)
    if len(found.hosts) > 1:
        ends = Counter("not asked" if host.error else "done" if host.done else "failed" for host in found.hosts)
        click.echo(", ".join(f"{count} {end}" for end, count in sorted(ends.items())), err=True)
