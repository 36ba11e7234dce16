"""`livefleet journal`: who changed which host, when, and what came of it."""

from pathlib import Path

import click

from livefleet.cli.output import console, print_json
from livefleet.cli.rollout_show import print_deeds
from livefleet.control.journal import fetch_journals
from livefleet.kernel import ExitCode
from livefleet.spec import load_fleet

__all__ = ["command"]


@click.command("journal")
@click.argument("hosts", nargs=-1)
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--parallel", type=click.IntRange(1), default=16, show_default=True, help="Hosts at once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, hosts: tuple[str, ...], fleet: Path, *, parallel: int, as_json: bool) -> None:
    """What was done to HOSTS (all unless named), by their own journals: whoever did it, from whichever machine.

    Exit code 1 when a host could not be asked, 3 when none could.
    """
    loaded = load_fleet(fleet)
    found = fetch_journals(loaded, hosts or loaded.hosts, parallel=parallel)
    deeds = [deed.model_copy(update={"host": journal.host}) for journal in found for deed in journal.deeds]
    errors = {journal.host: journal.error for journal in found if journal.error}
    if as_json:
        print_json({"deeds": [deed.model_dump(exclude_defaults=True) for deed in deeds], "errors": errors})
    else:
        print_deeds(deeds)
        for host, error in errors.items():
            console(stderr=True).print(f"{host}: {error}", markup=False)
    none = ExitCode.OUTSIDE_SAID_NO if len(errors) == len(found) else ExitCode.PARTLY_FAILED
    ctx.exit(none if errors else ExitCode.DONE)
