"""`livefleet keys show`: what a key file says without its passphrase."""

from pathlib import Path

import click

from livefleet.cli.output import console, print_json
from livefleet.kernel import ExitCode

__all__ = ["command"]


@click.command("show")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, file: Path, *, as_json: bool) -> None:
    """Say whose key FILE holds, whether it is encrypted and who can read it. No passphrase is needed.

    Exit code 1 when others can read the file or the key in it is not encrypted, 2 when it is no key file.
    """
    from livefleet.chain import read_key_file

    found = read_key_file(file)
    address = found.address if found.is_keystore else found.open().address
    remarks = []
    if found.is_open_to_others:
        remarks.append(f"others can read it (mode {found.mode:04o}): chmod 600 {file}")
    if not found.is_keystore:
        remarks.append(
            "the key is not encrypted: import it into a V3 keystore, or make another with `livefleet keys new`"
        )
    if as_json:
        print_json(
            {
                "file": str(file),
                "address": address,
                "encrypted": found.is_keystore,
                "mode": f"{found.mode:04o}",
                "remarks": remarks,
            }
        )
    else:
        kind = "V3 keystore" if found.is_keystore else "plain hex key"
        console().print(f"{address or 'address not said'}  {kind}, mode {found.mode:04o}", markup=False)
        for remark in remarks:
            console().print(remark, markup=False)
    ctx.exit(ExitCode.PARTLY_FAILED if remarks else ExitCode.DONE)
