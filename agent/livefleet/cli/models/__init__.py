"""`livefleet models`: the models of the node on this machine."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "bench": ("livefleet.cli.models.bench", "Load models and time them: seconds, memory, units a second."),
    "list": ("livefleet.cli.models.list", "Declared models: their files here, and whether they are warm."),
    "load": ("livefleet.cli.models.load", "Have a model loaded now, or again after it was unloaded."),
    "pull": ("livefleet.cli.models.pull", "Fetch models' files, resumed and checked by hash."),
    "unload": ("livefleet.cli.models.unload", "End a model's process, and keep it away until it is loaded again."),
}


@click.group(cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """The models of the node on this machine."""
