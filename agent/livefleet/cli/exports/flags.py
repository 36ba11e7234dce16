"""`livefleet export flags`: a host as go-livepeer would be started."""

from pathlib import Path

import click

from livefleet.cli.output import print_json
from livefleet.control.importer import FORMATS, flags_of
from livefleet.spec import load_fleet

__all__ = ["command"]


@click.command("flags")
@click.argument("host")
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option(
    "--as", "form", type=click.Choice(list(FORMATS)), default="argv", show_default=True, help="What is to be written."
)
@click.option("--json", "as_json", is_flag=True, help="Flags, text and notes as one JSON document.")
def command(host: str, fleet: Path, *, form: str, as_json: bool) -> None:
    """Print how go-livepeer is started to do what HOST does: flags, a -config file, a systemd unit or a compose file.

    Secrets are named by their files on the host, never written. What go-livepeer cannot be told is said on stderr.
    Nothing is contacted.
    """
    flags = flags_of(load_fleet(fleet).node(host))
    text = FORMATS[form](flags)
    if as_json:
        processes = [
            {"name": each.name, "flags": dict(each.flags), "environment": dict(each.environment)}
            for each in flags.commands
        ]
        print_json({"host": host, "processes": processes, "text": text, "notes": list(flags.notes)})
        return
    for note in flags.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(text, nl=False)
