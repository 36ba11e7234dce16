"""`livefleet export`: parts of a fleet file as other programs' files."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "flags": ("livefleet.cli.exports.flags", "A host as go-livepeer would be started: flags, a unit, a compose file."),
    "prices-per-gateway": (
        "livefleet.cli.exports.prices_per_gateway",
        "A host's prices by gateway as go-livepeer's JSON file.",
    ),
    "ai-models": ("livefleet.cli.exports.ai_models", "A host's models as go-livepeer's aiModels file."),
    "dashboards": ("livefleet.cli.exports.dashboards", "The dashboards as JSON, for a Grafana of one's own."),
}


@click.group("export", cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """Parts of a fleet file as other programs' files."""
