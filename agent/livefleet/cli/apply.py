"""`livefleet apply`: bring hosts to what the spec declares."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Self

import click
from rich.console import Console
from rich.table import Table

from livefleet.cli.output import console, print_json
from livefleet.control import ApplyOptions, Event, Outcome, Summary, apply, load_plan
from livefleet.kernel import BadInput

__all__ = ["command"]

_STYLE = {Outcome.CHANGED: "yellow", Outcome.UNCHANGED: "green", Outcome.WOULD_CHANGE: "yellow", Outcome.FAILED: "red"}


@click.command("apply")
@click.argument("hosts", nargs=-1)
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--dry", is_flag=True, help="Only say what would change.")
@click.option("--diff", is_flag=True, help="Show how files differ; never of secrets.")
@click.option("--yes", is_flag=True, help="Do not ask before the first change.")
@click.option("--remove", is_flag=True, help="Take livefleet off the hosts instead; keys and tickets stay.")
@click.option("--purge", is_flag=True, help="With --remove: keys and tickets too.")
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Do what this file of `livefleet plan --out` says; a host that is no longer as planned is refused.",
)
@click.option("--no-rollback", "keep_failed", is_flag=True, help="Hosts that do not serve stay as they are.")
@click.option("--parallel", type=click.IntRange(1), default=20, show_default=True, help="Hosts at once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; progress stays on stderr.")
@click.pass_context
def command(
    ctx: click.Context,
    hosts: tuple[str, ...],
    fleet: Path,
    *,
    dry: bool,
    diff: bool,
    yes: bool,
    remove: bool,
    purge: bool,
    plan_file: Path | None,
    keep_failed: bool,
    parallel: int,
    as_json: bool,
) -> None:
    """Bring HOSTS (all unless named) to what the spec declares, in parallel; a second run changes nothing.

    A changed node.yaml is taken over by the running agent where that is safe; `livefleet plan` says what restarts it.

    Exit code 1 when a host failed, was not reached or is no longer as planned (the others go on), 2 when the spec is
    wrong.
    """
    if not (yes or dry or sys.stdin.isatty()):
        raise BadInput("without a terminal there is nobody to ask: give --yes, or --dry to only look")
    if purge and not remove:
        raise BadInput("--purge goes with --remove")
    if plan_file is not None:
        if remove:
            raise BadInput("--plan is about what is declared, --remove takes everything away: give one of them")
        hosts = hosts or tuple(host.host for host in load_plan(plan_file).hosts)
    options = ApplyOptions(
        hosts,
        dry=dry,
        diff=diff,
        remove=remove,
        purge=purge,
        keep_failed=keep_failed,
        parallel=parallel,
        plan=plan_file,
    )
    progress = _Progress(console(stderr=True))
    confirm = None if yes or dry else progress.ask
    with progress:
        summary = apply(fleet, options, on_event=progress.show, confirm=confirm)
    if as_json:
        print_json(
            {"dry": summary.dry, "complete": summary.complete, "hosts": [asdict(host) for host in summary.hosts]}
        )
    else:
        _print(console(), summary)
    ctx.exit(summary.exit_code)


class _Progress:
    """Events as lines; on a terminal the latest step stands in a status line as well."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._status = out.status("reading the spec") if out.is_terminal else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def show(self, event: Event) -> None:
        """One event."""
        match event.event:
            case "begin":
                self._say(f"{len(event.hosts)} host(s): {', '.join(event.hosts)}")
            case "note":
                text = event.text if event.step == "diff" else f"{event.step}: {event.text}"
                self._say(f"{event.host}  {text}")
            case "done" if event.changed:
                self._say(f"{event.host}  {event.step} done")
            case "failed":
                self._say(f"{event.host}  {event.step} failed: {event.reason.splitlines()[0]}")
            case "step":
                if self._status:
                    self._status.update(f"{event.host}: {event.step}")
            case _:
                pass

    def ask(self) -> bool:
        """Let the operator decide, once all is planned."""
        if self._status:
            self._status.stop()
        go = click.confirm("Apply this?", default=False, err=True)
        if self._status and go:
            self._status.start()
        return go

    def _say(self, text: str) -> None:
        self._out.print(text, markup=False)


def _print(out: Console, summary: Summary) -> None:
    steps = "steps that would change" if summary.dry else "steps that changed"
    table = Table("host", "outcome", "agent", steps, box=None)
    for host in summary.hosts:
        outcome = f"[{_STYLE[host.outcome]}]{host.outcome.value}[/]"
        agent = f"would {host.agent}" if summary.dry and host.agent else host.agent
        table.add_row(host.host, outcome, agent or "-", ", ".join(host.changes) or "-")
    out.print(table)
    for host in summary.hosts:
        if host.outcome is Outcome.FAILED:
            out.print(f"\n{host.host}: {host.failed_step}: {host.reason}\n  -> {host.advice}", markup=False)
    counts = {outcome: sum(h.outcome is outcome for h in summary.hosts) for outcome in Outcome}
    told = {what: sum(h.agent == what for h in summary.hosts) for what in ("started", "restarted", "reloaded")}
    agents = ", ".join(f"{count} {what}" for what, count in told.items() if count)
    line = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
    out.print(f"{line}; agents: {agents}" if agents else line)
