"""Where profiles are looked for: beside the fleet file, then those that come with livefleet."""

from pathlib import Path

import click

from livefleet.spec import own_profiles

__all__ = ["FLEET", "folders_for"]

FLEET = click.option(
    "--fleet",
    type=click.Path(path_type=Path),
    envvar="LIVEFLEET_SPEC",
    default="fleet.yaml",
    help="The spec; profiles beside it are there too. It is not read.  [default: fleet.yaml]",
)


def folders_for(fleet: Path) -> tuple[Path, ...]:
    """The best first."""
    return (fleet.parent / "profiles", own_profiles())
