"""`livefleet report`: what was earned and what it cost, out of the hosts' ledgers."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "earnings": ("livefleet.cli.report.earnings", "Fees, rewards and gas by round, gateway and host."),
    "tax": ("livefleet.cli.report.tax", "One line for each taxable event, with prices where they are given."),
    "yield": ("livefleet.cli.report.returns", "What stakers may expect, by the Explorer's formula."),
}


@click.group(cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """Report what was earned and what it cost, out of the hosts' ledgers (duty `ledger`)."""
