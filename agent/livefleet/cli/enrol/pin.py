"""`livefleet enrol pin`: what images are to trust."""

from pathlib import Path

import click

from livefleet.cli.enrol.options import JSON, KEYS
from livefleet.cli.output import console, print_json

__all__ = ["command"]


@click.command("pin")
@KEYS
@click.option("--name", "names", multiple=True, help="Name or address in a new certificate; repeatable.")
@JSON
def command(keys: Path, *, names: tuple[str, ...], as_json: bool) -> None:
    """Print the pin of the service's key, for `trust` in an image's first-boot.yaml. Makes the key when there is none.

    The key outlives its certificate: images that know it need no new one. Keep a copy; without it every image has to be
    made anew.
    """
    from livefleet.control.enrol.certificate import ensure_certificate

    made = ensure_certificate(keys, names or ("localhost",))
    if as_json:
        print_json({"pin": made.pin, "certificate": str(made.certificate), "key": str(made.key)})
        return
    click.echo(made.pin)
    console(stderr=True).print(f"in first-boot.yaml: trust: {{pins: [{made.pin}]}}", markup=False)
