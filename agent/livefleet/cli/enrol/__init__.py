"""`livefleet enrol`: hosts that come by themselves, from preconfigured images."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "adopt": ("livefleet.cli.enrol.adopt", "Write enrolled hosts into the fleet file."),
    "approve": ("livefleet.cli.enrol.approve", "Let hosts in that wait."),
    "list": ("livefleet.cli.enrol.list", "The hosts that have asked, and how they are."),
    "pin": ("livefleet.cli.enrol.pin", "What images are to trust; makes the service's key, once."),
    "reject": ("livefleet.cli.enrol.reject", "Do not let a host in, or no longer hear it."),
    "serve": ("livefleet.cli.enrol.serve", "Answer hosts that ask, until it is stopped."),
    "token": ("livefleet.cli.enrol.tokens", "Tokens that let hosts in."),
    "usb": ("livefleet.cli.enrol.usb", "Write the file of a stick that lets one host in."),
}


@click.group("enrol", cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """Hosts that come by themselves: they boot a preconfigured image, ask here, and are told what they are."""
