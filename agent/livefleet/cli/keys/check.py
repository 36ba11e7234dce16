"""`livefleet keys check`: open a key file."""

from pathlib import Path

import click

from livefleet.cli.output import console, print_json
from livefleet.cli.passphrase import PassphraseSource, passphrase_options

__all__ = ["command"]


@click.command("check")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@passphrase_options
def command(
    file: Path,
    password_file: Path | None,
    password_env: str | None,
    password_command: str | None,
    *,
    as_json: bool,
) -> None:
    """Open FILE with its passphrase and say the address that its key really has; for backups.

    Exit code 2 when the passphrase does not open it.
    """
    from livefleet.chain import read_key_file

    found = read_key_file(file)
    source = PassphraseSource(password_file, password_env, password_command)
    signer = found.open(source.read(str(file)) if found.is_keystore else None)
    if as_json:
        print_json({"file": str(file), "address": signer.address, "opens": True})
    else:
        console().print(f"{signer.address}  the key opens", markup=False)
