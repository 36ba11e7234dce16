"""What the commands of a bundle share."""

from pathlib import Path

import click

__all__ = ["FOLDER", "KEYS"]

FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
KEYS = click.option(
    "--keys",
    type=click.Path(file_okay=False, path_type=Path),
    default="bundle-keys",
    show_default=True,
    help="Folder of the keys root.pem and publish.pem. Never in the bundle, never in a repository.",
)
