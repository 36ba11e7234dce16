"""`livefleet chain sign`: show a proposal, sign it, and send it where there is a network."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from livefleet.cli.chain.broadcast import broadcast_on, print_sent
from livefleet.cli.chain.prepare import prepared_on
from livefleet.cli.chain.showing import (
    print_proposal,
    proposal_json,
    read_file,
    sent_json,
    unknown_contracts,
    write_file,
)
from livefleet.cli.chain.signing_key import SigningKey, signing_key_options
from livefleet.cli.chain.where import Where, where_options
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, OutsideWorld

__all__ = ["command"]


@click.command("sign")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to make; FILE.signed.json.")
@click.option("--broadcast", "send", is_flag=True, help="Send it at once, and wait until it is mined.")
@click.option("--yes", is_flag=True, help="Do not ask. Then unknown contracts need --trust.")
@click.option(
    "--trust", multiple=True, metavar="ADDRESS", help="With --yes: a contract that is none of the protocol's."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; the rest stays on stderr.")
@signing_key_options
@where_options
def command(
    file: Path,
    out: Path | None,
    where: Callable[[str | None], Where],
    key: SigningKey,
    trust: tuple[str, ...],
    *,
    send: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show what the proposal in FILE does, decoded from what would be signed, and sign it with a key that you hold.

    FILE is a proposal, which needs the chain to be reached, or what `livefleet chain prepare` made of one, which needs
    no network at all. The signed transactions are written before anything is sent, so that a second run never signs a
    second time. Exit code 2 for wrong input, with nothing signed; 3 when the chain or the signing service says no.
    """
    from livefleet.chain import PreparedProposal, read_proposal

    found = read_proposal(read_file(file))
    offline = isinstance(found, PreparedProposal)
    proposal = found.proposal if isinstance(found, PreparedProposal) else found
    target = out or file.with_name(_stem(file) + ".signed.json")
    if offline and send:
        raise BadInput("a prepared proposal is signed without a network: send it with `livefleet chain broadcast`")
    if target.exists():
        raise BadInput(
            f"{target}: this was signed already. Send that with `livefleet chain broadcast {target}`; remove it only "
            "if it was never sent"
        )
    key.check(proposal.signer)
    network = None if offline else where(None).network
    if isinstance(found, PreparedProposal):
        prepared = found
    else:
        assert network is not None
        prepared = asyncio.run(prepared_on(network, proposal, headroom=2))
    print_proposal(proposal, prepared.contracts, prepared)
    _confirm(prepared, trust, yes=yes)
    signed = asyncio.run(_signed(prepared, key))
    write_file(target, signed.to_json())
    console(stderr=True).print(f"signed: {target}", markup=False)
    sent: tuple[Any, ...] = ()
    if send:
        assert network is not None
        sent = asyncio.run(broadcast_on(network, signed, timeout_s=300.0))
    if as_json:
        hashes = ["0x" + transaction.hash.hex() for transaction in signed.transactions]
        told = {"file": str(target), "transactions": hashes, "sent": sent_json(sent)}
        print_json({**proposal_json(proposal, prepared.contracts), **told})
    elif send:
        print_sent(sent)
    else:
        console().print(f"{target}: send it with `livefleet chain broadcast {target}`", markup=False)


async def _signed(prepared: Any, key: SigningKey) -> Any:
    from livefleet.chain import sign_prepared
    from livefleet.kernel import Terminal

    try:
        async with key.opened(prepared.proposal.signer) as signer:
            return await sign_prepared(prepared, signer)
    except Terminal as error:
        raise OutsideWorld(f"{error}; nothing is signed") from error


def _confirm(prepared: Any, trust: tuple[str, ...], *, yes: bool) -> None:
    unknown = unknown_contracts(prepared.proposal, prepared.contracts)
    if yes:
        trusted = {address.lower() for address in trust}
        if foreign := [address for address in unknown if address.lower() not in trusted]:
            text = ", ".join(foreign)
            raise BadInput(f"{text}: none of the protocol's contracts; without asking, name it with --trust")
        return
    if not sys.stdin.isatty():
        raise BadInput("without a terminal there is nobody to ask: read what is shown above, then give --yes")
    if not click.confirm("Sign this?", default=False, err=True):
        raise BadInput("nothing is signed")


def _stem(file: Path) -> str:
    return file.name.removesuffix(".json").removesuffix(".prepared")
