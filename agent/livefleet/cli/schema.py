"""`livefleet schema`: what may stand in a fleet file, for editors."""

import click

from livefleet.cli.output import print_json

__all__ = ["command"]


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of fleet.yaml.

    For editors with yaml-language-server: save it as fleet.schema.json and begin the fleet file with

        # yaml-language-server: $schema=fleet.schema.json
    """
    from livefleet.spec import fleet_schema

    print_json(fleet_schema())
