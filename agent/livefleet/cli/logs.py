"""`livefleet logs`: what the agents say, of all hosts in one order."""

import re
import time
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from json import dumps
from pathlib import Path
from threading import Event

import click

from livefleet.cli.selection import FLEET, PARALLEL, selecting
from livefleet.control import LogLine, LogsRequest, Selection, fleet_logs
from livefleet.kernel import ExitCode
from livefleet.spec import Role, load_fleet
from livefleet.spec.duration import parse_duration

__all__ = ["command"]

_LEVELS = ("debug", "info", "warning", "error")


def _since(_ctx: click.Context, _param: click.Parameter, text: str | None) -> float | None:
    """Unix seconds of a length of time back from now, or of a point in time (UTC unless it says otherwise)."""
    if text is None:
        return None
    with suppress(ValueError):
        return time.time() - parse_duration(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither like 10m or 2h30m nor like 2026-03-01T12:00") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _pattern(_ctx: click.Context, _param: click.Parameter, text: str | None) -> "re.Pattern[str] | None":
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise click.BadParameter(f"{text!r} is no regular expression: {error}") from error


@click.command("logs")
@selecting(host_option=False)
@FLEET
@click.option("--since", callback=_since, metavar="TIME", help="From then on: `10m`, `2h`, `2026-03-01T12:00` (UTC).")
@click.option("--lines", "-n", type=click.IntRange(1, 100_000), help="The last ones of each host.  [default: 200]")
@click.option("--follow", "-f", is_flag=True, help="Go on, with new lines as they come, until ctrl-c.")
@click.option("--grep", callback=_pattern, metavar="REGEX", help="Only lines in which this is found.")
@click.option("--level", type=click.Choice(_LEVELS), default="debug", help="Only lines at least as severe.")
@PARALLEL
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def command(
    ctx: click.Context,
    hosts: tuple[str, ...],
    *,
    roles: tuple[Role, ...],
    groups: tuple[str, ...],
    fleet: Path,
    since: float | None,
    lines: int | None,
    follow: bool,
    grep: "re.Pattern[str] | None",
    level: str,
    parallel: int,
    as_json: bool,
) -> None:
    """Show what the agents of HOSTS (all unless named) say, merged by time, each line with its host's name.

    Read from systemd's journal, or from the log file where there is none. Secrets are masked on the host, before
    anything leaves it. With `--since` all lines from then on are shown, 100000 of a host at most.

    Exit code 1 when a host could not be asked (the others' lines are shown), 2 when the input is wrong, 3 when none
    could be asked.
    """
    loaded = load_fleet(fleet)
    names = Selection(hosts, roles, groups).of(loaded)
    width = max(map(len, names))
    least = LogLine("", 0, level, "").severity

    def show(line: LogLine) -> None:
        text = line.render()
        if line.severity < least or (grep is not None and not grep.search(text)):
            return
        if as_json:
            click.echo(dumps(asdict(line), default=str))
            return
        prefix = f"{line.host:<{width}} | " if len(names) > 1 else ""
        click.echo("\n".join(f"{prefix}{part}" for part in text.splitlines() or [""]))

    request = LogsRequest(lines or (200 if since is None else 100_000), since, follow)
    stop = Event()
    try:
        found = fleet_logs(
            loaded,
            names,
            request,
            on_line=show,
            on_note=lambda host, text: click.echo(f"{host}: {text}", err=True),
            parallel=parallel,
            stop=stop,
        )
    except KeyboardInterrupt:
        ctx.exit(ExitCode.DONE)  # that is how following ends
    for host, error in found.errors.items():
        click.echo(f"{host}: {error}", err=True)
    ctx.exit(found.exit_code)
