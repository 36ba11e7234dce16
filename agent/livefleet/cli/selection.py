"""The options that choose hosts, the same for every command that works on some of a fleet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from livefleet.spec import Role

__all__ = ["FLEET", "PARALLEL", "selecting"]

Command = TypeVar("Command", bound=Callable[..., Any])

FLEET = click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
PARALLEL = click.option("--parallel", type=click.IntRange(1), default=16, show_default=True, help="Hosts at once.")


def selecting(*, host_option: bool) -> Callable[[Command], Command]:
    """Adds `roles` and `groups` to a command, and `hosts` as `--host`, or as arguments where there are no others."""

    def wrapped(command: Command) -> Command:
        hosts = (
            click.option("--host", "hosts", multiple=True, metavar="HOST", help="Only this host; repeatable.")
            if host_option
            else click.argument("hosts", nargs=-1)
        )
        role = click.option(
            "--role",
            "roles",
            multiple=True,
            type=click.Choice([role.value for role in Role]),
            callback=lambda _ctx, _param, said: tuple(Role(name) for name in said),
            help="Only hosts of this role; repeatable.",
        )
        group = click.option("--group", "groups", multiple=True, help="Only hosts in this group; repeatable.")
        return hosts(role(group(command)))

    return wrapped
