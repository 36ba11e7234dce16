"""`livefleet plan`: what would change on hosts, in hardware and on chain, before anything does."""

from pathlib import Path
from typing import Any, Self

import click
from rich.console import Console

from livefleet.cli.output import console, print_json, report_failure
from livefleet.cli.plan_chain import chain_part
from livefleet.cli.plan_words import print_plan
from livefleet.control import ApplyOptions, ChainPart, Event, PlanDocument, PlanExit, apply, make_plan, save_plan
from livefleet.kernel import BadInput
from livefleet.spec import load_fleet

__all__ = ["command"]


class _PlanCommand(click.Command):
    """Click ends with 2 where the command line is wrong; here 2 means changes."""

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        try:
            return super().make_context(*args, **settings)
        except click.UsageError as error:
            error.show()
            raise click.exceptions.Exit(PlanExit.BAD_INPUT) from error


_HELP = """\
Show what would change on HOSTS (all unless named), in their hardware and on chain. Nothing is changed.

\b
hosts     packages, files, units, releases; which settings a running agent takes
          over live, and which restart it
hardware  declared GPUs and driver against what the host has
chain     what `livefleet chain plan` shows, and keys that are low on ETH. `apply`
          sends none of it: the nodes do, or you sign with `livefleet chain sign`

Secrets never show: a changed one is said to differ, nothing more.

\b
Exit codes of this command:
  0  everything is as declared
  1  some host, or the chain of some host, could not be planned; the rest is shown
  2  there are changes
  3  nothing could be reached
  4  wrong input: the spec, a host's name, an option (other commands end with 2)
"""


@click.command("plan", cls=_PlanCommand, help=_HELP)
@click.argument("hosts", nargs=-1)
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--no-chain", is_flag=True, help="Do not read the chain.")
@click.option("--diff", is_flag=True, help="Show how files differ; never of secrets.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Keep the plan, for `apply --plan`.")
@click.option("--parallel", type=click.IntRange(1), default=20, show_default=True, help="Hosts at once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; progress stays on stderr.")
@click.pass_context
def command(
    ctx: click.Context,
    hosts: tuple[str, ...],
    fleet: Path,
    *,
    no_chain: bool,
    diff: bool,
    out: Path | None,
    parallel: int,
    as_json: bool,
) -> None:
    """See `_HELP`."""
    try:
        document = _plan(hosts, fleet, no_chain=no_chain, parallel=parallel)
        if out is not None:
            save_plan(document, out)
    except BadInput as error:
        report_failure(error)
        ctx.exit(PlanExit.BAD_INPUT)
    if as_json:
        print_json({**document.model_dump(mode="json"), "changes": document.changes})
    else:
        print_plan(console(), document, diff=diff)
        if out is not None:
            console(stderr=True).print(f"kept in {out}; `livefleet apply --plan {out}` does this or says why not")
    ctx.exit(document.exit_code)


def _plan(hosts: tuple[str, ...], path: Path, *, no_chain: bool, parallel: int) -> PlanDocument:
    if not path.exists():
        raise BadInput(f"{path}: no such file; give --fleet or run where fleet.yaml is")
    loaded = load_fleet(path)
    for name in hosts:
        loaded.node(name)
    events: list[Event] = []
    with _Looking(console(stderr=True)) as looking:
        options = ApplyOptions(hosts, dry=True, parallel=parallel)
        summary = apply(path, options, on_event=lambda event: looking.heard(events, event))
        looking.say("reading the chain")
        chain = ChainPart(asked=False) if no_chain else chain_part(loaded, hosts or loaded.hosts)
    return make_plan(loaded, summary, events, chain)


class _Looking:
    """On a terminal, one line about what is being waited for."""

    def __init__(self, out: Console) -> None:
        self._status = out.status("reading the spec") if out.is_terminal else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def heard(self, events: list[Event], event: Event) -> None:
        """Keep an event, and show how far the hosts are."""
        events.append(event)
        begun = next((one for one in events if one.event == "begin"), None)
        if begun is not None:
            done = sum(one.event in ("planned", "failed") for one in events)
            self.say(f"{done} of {len(begun.hosts)} host(s) looked at")

    def say(self, text: str) -> None:
        """What is being waited for."""
        if self._status:
            self._status.update(text)
