"""`livefleet import`: what another program's files say, as parts of a fleet file."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "node": ("livefleet.cli.imports.node", "What starts go-livepeer today, as a fleet file with a report."),
    "ai-models": ("livefleet.cli.imports.ai_models", "go-livepeer's aiModels as `models:` of a fleet file."),
}


@click.group("import", cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """What another program's files say, as parts of a fleet file."""
