"""`livefleet chain prepare`: what a machine without a network needs to sign a proposal."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livefleet.cli.chain.showing import print_proposal, proposal_json, read_file, write_file
from livefleet.cli.chain.where import Where, where_options
from livefleet.cli.output import console, print_json
from livefleet.kernel import OutsideWorld

if TYPE_CHECKING:
    from livefleet.chain import PreparedProposal, Proposal
    from livefleet.spec import Network

__all__ = ["command", "prepared_on"]


@click.command("prepare")
@click.argument("proposal", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to make; PROPOSAL.prepared.json.")
@click.option(
    "--headroom",
    type=click.IntRange(1, 100),
    default=4,
    show_default=True,
    help="How many times the base fee of now may be paid when it is sent later.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@where_options
def command(
    proposal: Path, out: Path | None, headroom: int, where: Callable[[str | None], Where], *, as_json: bool
) -> None:
    """Look up nonce, fees and gas for PROPOSAL, to be signed on a machine without a network.

    Carry the file to that machine, sign it there with `livefleet chain sign`, and bring what that writes to `livefleet
    chain broadcast`. Exit code 2 for a proposal that was changed or is for another chain, 3 when the chain says no.
    """
    from livefleet.chain import Proposal

    asked = Proposal.from_json(read_file(proposal))
    target = out or proposal.with_suffix(".prepared.json")
    prepared = asyncio.run(prepared_on(where(None).network, asked, headroom=headroom))
    write_file(target, prepared.to_json())
    if as_json:
        facts = {"nonce": prepared.nonce, "gas": prepared.gas, "max_fee_wei": prepared.fees.max_fee}
        print_json(
            {"file": str(target), **proposal_json(asked, prepared.contracts), **facts, "most_wei": prepared.most}
        )
        return
    print_proposal(asked, prepared.contracts, prepared)
    console().print(f"{target}: sign it with the key of {asked.signer}", markup=False)


async def prepared_on(network: "Network", proposal: "Proposal", *, headroom: int) -> "PreparedProposal":
    """The proposal prepared on a network. Raises BadInput, and OutsideWorld or Transient where the chain says no."""
    from livefleet.chain import WrongChain, connect, prepare

    try:
        async with await connect(network) as client:
            return await prepare(client, proposal, headroom=headroom)
    except WrongChain as error:
        raise OutsideWorld(f"{error}; nothing is signed") from error
