"""`livefleet bundle`: the fleet as a signed folder that hosts pull from."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "init": ("livefleet.cli.bundle.init", "Make the keys and the folder, once."),
    "publish": ("livefleet.cli.bundle.publish", "Sign the fleet's slices as the next version."),
    "rotate": ("livefleet.cli.bundle.rotate", "Replace a lost or stolen key that publishes."),
    "show": ("livefleet.cli.bundle.show", "What is published, and how long it is believed."),
}


@click.group("bundle", cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """The fleet as a signed folder, for hosts that pull: behind NAT, or too many to be pushed to."""
