"""A group of commands that imports only the one which is asked for, so that `--help` is quick."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from livefleet.kernel import BadInput

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """`commands_of` names each command's module, which holds it as `command`, and gives its line of help."""

    def __init__(self, *args: Any, commands_of: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._commands_of = commands_of

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, sorted."""
        return sorted(self._commands_of)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None where none has that name. Raises BadInput where an extra is missing."""
        if cmd_name not in self._commands_of:
            return None
        try:
            command: click.Command = importlib.import_module(self._commands_of[cmd_name][0]).command
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == "livefleet":
                raise
            raise BadInput(
                f"`{cmd_name}` needs the package {error.name}, which this installation of livefleet lacks: an"
                " operator's machine wants `pip install 'livefleet[control]'`, a host `livefleet[agent]`"
            ) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and lines of help, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._commands_of[name][1]) for name in self.list_commands(ctx)])
