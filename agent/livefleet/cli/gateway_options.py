"""What all of `livefleet gateway` takes."""

from pathlib import Path
from typing import Any

import click

from livefleet.kernel import BadInput

__all__ = ["payer_of", "paying_options"]


def paying_options(function: Any) -> Any:
    """Who is asked, who pays, and how it is told."""
    for option in (
        click.option("--orchestrator", required=True, metavar="URL", help="https://host:port of the front door."),
        click.option("--key-file", type=click.Path(dir_okay=False, path_type=Path), help="The paying account's key."),
        click.option("--password-file", type=click.Path(dir_okay=False, path_type=Path), help="Keystore passphrase."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
    ):
        function = option(function)
    return function


def payer_of(key_file: Path | None, password_file: Path | None) -> Any:
    """The paying account; without a key nothing is signed or paid. Raises BadInput."""
    from livefleet.chain import load_key
    from livefleet.wire.gateway import Payer

    if key_file is None:
        return Payer(None)
    try:
        passphrase = None if password_file is None else password_file.read_text().strip()
    except OSError as error:
        raise BadInput(f"{password_file}: {error.strerror}") from error
    return Payer(load_key(key_file, passphrase))
