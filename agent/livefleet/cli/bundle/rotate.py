"""`livefleet bundle rotate`: replace a lost or stolen key that publishes."""

from pathlib import Path

import click

from livefleet.cli.bundle.options import FOLDER, KEYS
from livefleet.cli.output import console, print_json

__all__ = ["command"]


@click.command("rotate")
@FOLDER
@KEYS
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(folder: Path, keys: Path, *, as_json: bool) -> None:
    """Make a new publish.pem; takes root.pem. Hosts follow by themselves, nobody has to go to them.

    Publish afterwards: until then hosts go on as they are and say that the bundle is not signed as they expect.
    """
    from livefleet.control.bundle import Bundle

    aside = Bundle(folder, keys).rotate()
    if as_json:
        print_json({"old_key": str(aside), "key": str(keys / "publish.pem")})
        return
    console().print(
        f"{keys}/publish.pem is new, the old one is {aside}; now: livefleet bundle publish {folder}", markup=False
    )
