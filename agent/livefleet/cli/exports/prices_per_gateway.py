"""`livefleet export prices-per-gateway`: a host's prices by gateway as go-livepeer's file."""

from pathlib import Path

import click

from livefleet.control.importer import gateway_prices_text
from livefleet.spec import load_fleet

__all__ = ["command"]


@click.command("prices-per-gateway")
@click.argument("host")
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
def command(host: str, fleet: Path) -> None:
    """Print the video prices by gateway of HOST as the JSON file that go-livepeer's -pricePerGateway names.

    Prices are exact: a fraction of a wei is written as a price for as many pixels as make it whole. Nothing is
    contacted.
    """
    prices = load_fleet(fleet).node(host).prices.gateways
    if not prices:
        click.echo(f"note: {host} has one price for every gateway; the list is empty", err=True)
    click.echo(gateway_prices_text(prices))
