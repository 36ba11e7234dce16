"""`livefleet enrol token new|list|revoke`: what lets hosts in."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from livefleet.cli.enrol.options import EXPIRES, FLEET, GROUP, HOST, JSON, open_store, template_of
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput

if TYPE_CHECKING:
    from livefleet.control.enrol.tokens import Token

__all__ = ["command"]


@click.group("token")
def command() -> None:
    """Tokens that let hosts in: shown once, kept only as a hash."""


@command.command("new")
@FLEET
@HOST
@GROUP
@EXPIRES
@click.option("--uses", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Hosts that it lets in.")
@JSON
def new(fleet: Path, *, host: str | None, group: str | None, expires: float, uses: int, as_json: bool) -> None:
    """Make a token and print it, once; only its hash is kept.

    The first key that shows it is let in, and nobody else by that use; the same host may ask again. A token for --host
    that is used by a new machine takes the name from the one before it.
    """
    from livefleet.control.enrol.tokens import new_token
    from livefleet.control.journal import operator_name

    if host is not None and uses != 1:
        raise BadInput("--host is one machine: leave --uses out, or give a --group")
    text, token = new_token(
        template_of(fleet, host, group), now=time.time(), valid_s=expires, uses=uses, made_by=operator_name()
    )
    open_store(fleet).add(token)
    if as_json:
        print_json({"token": text, **_document(token)})
        return
    click.echo(text)
    console(stderr=True).print(
        f"for {token.template}, {uses} host{'s' if uses > 1 else ''}, until {_time(token.expires_at)}; shown only now."
        " On a stick: livefleet enrol usb",
        markup=False,
    )


@command.command("list")
@FLEET
@JSON
def list_tokens(fleet: Path, *, as_json: bool) -> None:
    """Every token that was made, without its text, and what has become of it."""
    tokens = open_store(fleet).tokens()
    if as_json:
        print_json([_document(token) for token in tokens])
        return
    table = Table("id", "for", "used", "ends", "state", "made by", box=None)
    for token in tokens:
        table.add_row(
            token.id,
            str(token.template),
            f"{token.used}/{token.uses}",
            _time(token.expires_at),
            _state(token),
            token.made_by,
        )
    console().print(table)


@command.command("revoke")
@click.argument("token_id", metavar="ID")
@FLEET
@JSON
def revoke(token_id: str, fleet: Path, *, as_json: bool) -> None:
    """Let nobody in by the token ID any more. Hosts that it has let in stay; see `enrol reject`."""
    token = open_store(fleet).revoke(token_id)
    if as_json:
        print_json({"revoked": token.id})
        return
    console().print(f"{token.id}: revoked; it had let in {token.used} of {token.uses}", markup=False)


def _document(token: "Token") -> dict[str, object]:
    return {
        "id": token.id,
        token.template.kind.value: token.template.name,
        "uses": token.uses,
        "used": token.used,
        "made_at": token.made_at,
        "made_by": token.made_by,
        "expires_at": token.expires_at,
        "state": _state(token),
    }


def _state(token: "Token") -> str:
    from livefleet.control.enrol.tokens import fault_of

    fault = fault_of(token, time.time())
    return "good" if fault is None else fault.value.removeprefix("Token").lower()


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
