"""The `livefleet` command: one file a subcommand, imported only when it is called."""

from livefleet.cli.main import main

__all__ = ["main"]
