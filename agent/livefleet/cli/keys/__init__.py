"""`livefleet keys`: which key sits where, and the key files themselves."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "plan": ("livefleet.cli.keys.plan", "Which key sits on which host; refuses stake on a GPU host."),
    "new": ("livefleet.cli.keys.new", "Make an encrypted keystore."),
    "show": ("livefleet.cli.keys.show", "Whose key a file holds and who can read it, without opening it."),
    "check": ("livefleet.cli.keys.check", "Open a key file with its passphrase."),
}


@click.group(cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """Which key sits where, and the key files themselves."""
