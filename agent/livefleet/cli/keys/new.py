"""`livefleet keys new`: make an encrypted keystore."""

from pathlib import Path
from typing import Literal

import click

from livefleet.cli.output import console, print_json
from livefleet.cli.passphrase import PassphraseSource, passphrase_options

__all__ = ["command"]


@click.command("new")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to make; mode 0600.")
@click.option(
    "--kdf", type=click.Choice(["scrypt", "pbkdf2"]), default="scrypt", show_default=True, help="Key derivation."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@passphrase_options
def command(
    out: Path,
    kdf: Literal["scrypt", "pbkdf2"],
    password_file: Path | None,
    password_env: str | None,
    password_command: str | None,
    *,
    as_json: bool,
) -> None:
    """Make a key and write it as an encrypted V3 keystore; only the address is printed.

    The passphrase is asked for twice unless a file, a variable or a program gives it. An existing file is never
    touched. Exit code 2 when nothing was made.
    """
    from livefleet.chain import make_keystore, read_key_file

    passphrase = PassphraseSource(password_file, password_env, password_command).read_new(str(out))
    address = make_keystore(out, passphrase, kdf=kdf)
    read_key_file(out).open(passphrase)  # as the next reader will
    if as_json:
        print_json({"address": address, "file": str(out)})
        return
    console().print(address, markup=False)
    console(stderr=True).print(
        f"{out}: encrypted, readable by you alone.\nCopy this file to a second place and write the passphrase down in a"
        "\nthird: who loses either has lost the key. Nothing is kept elsewhere.",
        markup=False,
    )
