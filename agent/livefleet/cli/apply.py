"""`livefleet apply`: bring hosts to what the spec declares."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Self

import click
from rich.console import Console
from rich.table import Table

from livefleet.cli.interrupt import Interrupt
from livefleet.cli.output import console, print_json
from livefleet.cli.smoke import smoke_of
from livefleet.cli.smoke_show import print_smoke, smoke_document, smoke_line
from livefleet.control import ApplyOptions, Event, FleetSmoke, Outcome, Smoke, Summary, apply, load_plan
from livefleet.control.applied import ApplySmoke, decide_smoke, smoke_applied
from livefleet.control.journal import operator_name
from livefleet.kernel import BadInput
from livefleet.spec import Fleet, load_fleet

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
@click.option("--smoke/--no-smoke", default=None, help="Whether hosts must do a paid job afterwards.")
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
    smoke: bool | None,
    parallel: int,
    as_json: bool,
) -> None:
    """Bring HOSTS (all unless named) to what the spec declares, in parallel; a second run changes nothing.

    A changed node.yaml is taken over by the running agent where that is safe; `livefleet plan` says what restarts it.

    Where the spec names an account that pays (`smoke.key`), each orchestrator and worker that was changed then does
    a paid job, as `livefleet smoke` has it. --no-smoke leaves that out, --smoke also tries hosts that were as declared,
    and fleets off chain, where nothing is paid. A host that fails stays as it is: what to do is said.

    Exit code 1 when a host failed, was not reached, is no longer as planned or failed its paid job (the others go on),
    2 when the spec, or the key that pays, is wrong: then nothing was changed.
    """
    if not (yes or dry or sys.stdin.isatty()):
        raise BadInput("without a terminal there is nobody to ask: give --yes, or --dry to only look")
    if purge and not remove:
        raise BadInput("--purge goes with --remove")
    if plan_file is not None:
        if remove:
            raise BadInput("--plan is about what is declared, --remove takes everything away: give one of them")
        hosts = hosts or tuple(host.host for host in load_plan(plan_file).hosts)
    if smoke and (dry or remove):
        raise BadInput("--smoke tries hosts that were changed: with --dry or --remove there are none")
    trial = None if dry or remove or not fleet.exists() else _Trial.of(fleet, hosts, smoke)
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
        if trial is not None and not progress.declined:
            summary = trial.after(summary, progress.say)
    if as_json:
        print_json(
            {
                "dry": summary.dry,
                "complete": summary.complete,
                "hosts": [asdict(host) for host in summary.hosts],
                "smoke": None if summary.smoke is None else smoke_document(summary.smoke),
            }
        )
    else:
        _print(console(), summary)
    ctx.exit(summary.exit_code)


_SMOKE_ADVICE = (
    "it runs what is declared and stays in service: put that right, then `livefleet smoke {host}`;"
    " `livefleet rollback {host}` lets it run again what it ran before"
)


class _Trial:
    """The paid jobs after it. What they need is read at once: a key that is wrong is said before anything changes."""

    def __init__(self, fleet: Fleet, decided: ApplySmoke, smoke: Smoke | None, interrupt: Interrupt) -> None:
        self._fleet = fleet
        self._decided = decided
        self._smoke = smoke
        self._interrupt = interrupt

    @classmethod
    def of(cls, path: Path, hosts: tuple[str, ...], asked: bool | None) -> Self:
        """Raises BadInput for a spec, a key or a host that is wrong."""
        fleet = load_fleet(path)
        decided = decide_smoke(fleet, hosts, asked)
        interrupt = Interrupt(asked="the jobs are cut off", left="left at once; hosts are as declared")
        if not decided.wanted:
            return cls(fleet, decided, None, interrupt)
        try:
            return cls(fleet, decided, smoke_of(fleet, hosts=hosts, stop=interrupt.stop), interrupt)
        except BadInput as error:
            raise BadInput(f"{error}; --no-smoke applies without a paid job afterwards") from error

    def after(self, summary: Summary, say: Callable[[str], None]) -> Summary:
        """The summary with how the hosts did, where any are to be tried."""
        hosts = self._decided.hosts_of(self._fleet, summary)
        if hosts and self._decided.why_not:
            say(f"not tried by a paid job: {self._decided.why_not}")
        if not hosts or self._smoke is None:
            return summary
        say(f"a paid job on {', '.join(hosts)}")
        with self._interrupt as interrupt:
            interrupt.hold()
            return smoke_applied(
                self._fleet,
                summary,
                hosts,
                self._smoke,
                who=operator_name(),
                sleep=interrupt.stop.sleep,
                on_result=lambda result: say(smoke_line(result)),
                on_unnoted=lambda host, why: say(f"{host}: its journal was not written: {why}"),
            )


class _Progress:
    """Events as lines; on a terminal the latest step stands in a status line as well."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._status = out.status("reading the spec") if out.is_terminal else None
        self.declined = False

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
                self.say(f"{len(event.hosts)} host(s): {', '.join(event.hosts)}")
            case "note":
                text = event.text if event.step == "diff" else f"{event.step}: {event.text}"
                self.say(f"{event.host}  {text}")
            case "done" if event.changed:
                self.say(f"{event.host}  {event.step} done")
            case "failed":
                self.say(f"{event.host}  {event.step} failed: {event.reason.splitlines()[0]}")
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
        self.declined = not go
        if self._status and go:
            self._status.start()
        return go

    def say(self, text: str) -> None:
        """One line."""
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
    if summary.smoke is not None:
        _print_smoke(out, summary.smoke)


def _print_smoke(out: Console, found: FleetSmoke) -> None:
    print_smoke(out, found)
    for host, why in found.left_out.items():
        out.print(f"{host}: not tried: {why}", markup=False)
    for result in found.hosts:
        if not result.passed:
            out.print(f"\n{result.host}: {result.text}\n  -> {_SMOKE_ADVICE.format(host=result.host)}", markup=False)
