"""`livefleet enrol usb`: write the file of a stick that lets one host in."""

import time
from pathlib import Path

import click

from livefleet.cli.enrol.options import EXPIRES, FLEET, GROUP, HOST, JSON, open_store, template_of
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, OutsideWorld

__all__ = ["command"]


@click.command("usb")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, exists=True, path_type=Path))
@FLEET
@HOST
@GROUP
@EXPIRES
@click.option("--uses", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Hosts that it lets in.")
@JSON
def command(
    folder: Path, fleet: Path, *, host: str | None, group: str | None, expires: float, uses: int, as_json: bool
) -> None:
    """Write livefleet.yaml with a new token into DIR, where a stick with the label LIVEFLEET (or cidata) is mounted.

    No file that exists is touched. Who has the stick may let a host in until the token is used or has expired.
    """
    from livefleet.control.enrol.tokens import new_token
    from livefleet.control.journal import operator_name
    from livefleet.kernel.durable_file import write_new
    from livefleet.spec.enrol import SEED_FILE

    if host is not None and uses != 1:
        raise BadInput("--host is one machine: leave --uses out, or give a --group")
    file = folder / SEED_FILE
    if file.exists():
        raise BadInput(f"{file} is there already, and nothing was touched; take it away first")
    template = template_of(fleet, host, group)
    text, token = new_token(template, now=time.time(), valid_s=expires, uses=uses, made_by=operator_name())
    content = f"# For livefleet's first boot: lets in {template}. Take the stick out afterwards.\ntoken: {text}\n"
    open_store(fleet).add(token)  # first: a file with a token that nobody knows is worth nothing
    try:
        write_new(file, content.encode())
    except OSError as error:
        open_store(fleet).revoke(token.sha256)
        raise OutsideWorld(f"{file}: cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"file": str(file), "token_id": token.id})
        return
    console().print(f"{file}: token {token.id} for {template}; unmount the stick before you take it out", markup=False)
