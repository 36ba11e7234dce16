"""`livefleet image`: disks and root file systems that become hosts by themselves."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "build": ("livefleet.cli.image.build", "Make an image of a profile."),
    "show": ("livefleet.cli.image.show", "What is in an image."),
    "verify": ("livefleet.cli.image.verify", "Prove that an image is what its manifest says."),
}


@click.group("image", cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """Images with driver, agent and profile baked in. They hold no secret and no identity, and enrol at first boot.

    deploys/IMAGES.md says what they hold, and what only real hardware can show.
    """
