"""`livefleet chain broadcast`: send what was signed elsewhere."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livefleet.cli.chain.showing import print_proposal, proposal_json, read_file, sent_json
from livefleet.cli.chain.where import Where, where_options
from livefleet.cli.output import console, print_json

if TYPE_CHECKING:
    from livefleet.chain import Sent, SignedProposal
    from livefleet.spec import Network

__all__ = ["broadcast_on", "command", "print_sent"]


@click.command("broadcast")
@click.argument("signed", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--timeout", "timeout_s", type=float, default=300.0, show_default=True, help="Seconds a call may take.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; the rest stays on stderr.")
@where_options
def command(signed: Path, timeout_s: float, where: Callable[[str | None], Where], *, as_json: bool) -> None:
    """Send the transactions in SIGNED, one after the other, and wait until each is mined.

    What is mined already counts as sent: the same command again goes on where it stopped. Exit code 2 for a file that
    was changed or is for another chain, 3 when the chain says no; the calls after that one are not sent.
    """
    from livefleet.chain import SignedProposal

    found = SignedProposal.from_json(read_file(signed))
    print_proposal(found.proposal, {})
    sent = asyncio.run(broadcast_on(where(None).network, found, timeout_s=timeout_s))
    if as_json:
        print_json({**proposal_json(found.proposal, {}), "sent": sent_json(sent)})
    else:
        print_sent(sent)


async def broadcast_on(network: "Network", signed: "SignedProposal", *, timeout_s: float) -> "tuple[Sent, ...]":
    """Send it by a network's endpoints, with progress on stderr. Raises what broadcasting raises."""
    from livefleet.chain import Rpc, broadcast

    def tell(number: int, tx_hash: bytes) -> None:
        console(stderr=True).print(f"call {number} of {len(signed.raw)} is sent: 0x{tx_hash.hex()}", markup=False)

    poll_s = 0.2 if network.name == "devchain" else 1.0
    async with Rpc(network.rpc) as rpc:
        return await broadcast(rpc, signed, timeout_s=timeout_s, poll_s=poll_s, on_sent=tell)


def print_sent(sent: "tuple[Sent, ...]") -> None:
    """One line a call."""
    from livefleet.spec.amounts import eth_text

    for one in sent:
        when = ", before this run" if one.was_there else ""
        cost = eth_text(one.cost)
        console().print(
            f"call {one.number}: mined in block {one.block_number}{when}, gas {one.gas_used}, cost {cost}, "
            f"0x{one.tx_hash.hex()}",
            markup=False,
        )
