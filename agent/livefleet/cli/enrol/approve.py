"""`livefleet enrol approve`: let hosts in that wait."""

import time
from pathlib import Path

import click

from livefleet.cli.enrol.options import FLEET, GROUP, HOST, JSON, open_store, template_of
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput

__all__ = ["code_as_kept", "command"]


@click.command("approve")
@click.argument("codes", metavar="CODE...", nargs=-1)
@FLEET
@HOST
@GROUP
@click.option("--all", "everybody", is_flag=True, help="All that wait now; with --group.")
@JSON
def command(
    codes: tuple[str, ...], fleet: Path, *, host: str | None, group: str | None, everybody: bool, as_json: bool
) -> None:
    """Let in the hosts with these codes, as they stand on their screens. They hear of it within seconds.

    A code says that somebody looks at that very host: compare it before you let it in.
    """
    from livefleet.control.enrol.records import HostState
    from livefleet.control.journal import operator_name

    if everybody == bool(codes):
        raise BadInput("give the codes that stand on the hosts' screens, or --all for all that wait")
    if host is not None and (everybody or len(codes) != 1):
        raise BadInput("--host is one machine: give one code")
    store = open_store(fleet)
    template = template_of(fleet, host, group)
    if everybody:
        codes = tuple(record.code for record in store.hosts() if record.state is HostState.WAITING)
    done = [store.approve(code_as_kept(code), template, time.time(), operator_name()) for code in codes]
    if as_json:
        print_json([{"code": record.code, "name": record.name} for record in done])
        return
    for record in done:
        console().print(f"{record.code}: let in as {record.name} ({template})", markup=False)


def code_as_kept(text: str) -> str:
    """As it is kept, however it was typed."""
    letters = "".join(letter for letter in text.upper() if letter.isalnum())
    return f"{letters[:4]}-{letters[4:]}"
