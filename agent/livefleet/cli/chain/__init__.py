"""`livefleet chain`: what stands on chain, what is to be changed there, and signing it with keys that no host holds."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
}


@click.group(cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """What stands on chain, what is to be changed there, and signing it with keys that no host holds."""
