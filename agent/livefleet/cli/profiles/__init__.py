"""`livefleet profiles`: presets for cards and for what hosts do, and what is known of cards."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "list": ("livefleet.cli.profiles.list", "Every profile that a fleet can name."),
    "show": ("livefleet.cli.profiles.show", "What a profile says, and what is known of its cards, with sources."),
}


@click.group(cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """Presets for cards and for what hosts do. Nothing is contacted."""
