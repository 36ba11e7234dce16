"""`livefleet bundle init`: make the keys and the folder, once."""

from pathlib import Path

import click

from livefleet.cli.bundle.options import FOLDER, KEYS
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput

__all__ = ["command"]


@click.command("init")
@FOLDER
@KEYS
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(folder: Path, keys: Path, *, as_json: bool) -> None:
    """Make the two keys of a bundle and its first root in FOLDER.

    Whoever has publish.pem decides what hosts run, within what an agent may take over; root.pem can replace it. Exit
    code 2 where a bundle or a key is already there: nothing is overwritten.
    """
    from livefleet.control.bundle import Bundle

    if keys.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"--keys {keys} is inside {folder}, which is handed out to everybody; choose another folder")
    trust = Bundle(folder, keys).create()
    if as_json:
        print_json({"folder": str(folder), "trust": str(trust), "keys": str(keys)})
        return
    console().print(
        f"{trust}: the root that hosts are to trust; in the fleet file:\n\n"
        f"  defaults: {{pull: {{url: https://..., trust: {trust}}}}}\n\n"
        f"{keys}/publish.pem signs each `livefleet bundle publish`. {keys}/root.pem is wanted only when that key is"
        "\nlost: keep it away from networks. Apply once to each host; from then on hosts look by themselves.",
        markup=False,
    )
