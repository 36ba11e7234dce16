"""`livefleet chain delegators`: who delegates to an orchestrator, and what they did."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from livefleet.cli.chain.where import Where, where_options
from livefleet.cli.output import console, print_json
from livefleet.kernel import Address, OutsideWorld

if TYPE_CHECKING:
    from livefleet.ledger import Delegators

__all__ = ["command"]

_A_MONTH_BLOCKS = 10_368_000  # of a quarter of a second
_DUST = 10**9  # LPTU that the contract rounds away


@click.command("delegators")
@click.argument("address", required=False)
@click.option(
    "--since-block", type=click.IntRange(min=0), help="The L2 block to read logs from. None: about a month back."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@where_options
def command(
    address: str | None, *, where: Callable[[str | None], Where], since_block: int | None, as_json: bool
) -> None:
    """Show who delegates to ADDRESS (the spec's orchestrator, unless given), and what they did.

    The contract keeps no list: delegators are found by the logs of what they did since a block, and each is asked at
    the chain what it has now. What they do not add up to was bonded earlier. Exit code 2 for wrong input, 3 when the
    chain cannot be read.
    """
    found = asyncio.run(_read(where(address), since_block))
    if as_json:
        print_json(_document(found))
    else:
        _print(found)


async def _read(place: Where, since: int | None) -> "Delegators":
    from livefleet.chain import connect
    from livefleet.ledger import read_delegators

    listed = await _listed(place)
    async with await connect(place.network) as client:
        if since is None:
            since = max(0, await client.rpc.block_number() - _A_MONTH_BLOCKS)
        return await read_delegators(client, place.address, since=since, known=listed)


async def _listed(place: Where) -> "dict[Address, int] | None":
    """Delegators and their bonded LPTU as the declared subgraph has them; None without one, or while it is away."""
    from livefleet.ledger import SubgraphClient

    if place.network.subgraph is None:
        return None
    try:
        async with SubgraphClient(place.network.subgraph.url, place.subgraph_key()) as subgraph:
            return {one.address: one.bonded for one in await subgraph.delegators(place.address)}
    except OutsideWorld as error:
        click.echo(f"{error}; going on with logs alone", err=True)
        return None


def _document(found: "Delegators") -> dict[str, Any]:
    return {
        "orchestrator": found.orchestrator,
        "source": _source(found),
        "subgraph_differs": None if found.differing is None else list(found.differing),
        "block": found.block,
        "total_stake_lptu": str(found.total_stake),
        "own_stake_lptu": str(found.own_stake),
        "unknown_stake_lptu": str(found.unknown_stake),
        "delegators": [
            {
                "address": one.address,
                "stake_lptu": str(one.stake),
                "fees_wei": str(one.fees),
                "moves": [
                    {
                        "what": move.what,
                        "amount_lptu": str(move.amount),
                        "block": move.block,
                        "tx": "0x" + move.tx_hash.hex(),
                    }
                    for move in one.moves
                ],
            }
            for one in found.found
        ],
    }


def _print(found: "Delegators") -> None:
    from livefleet.ledger import coins

    out = console()
    out.print(
        f"{found.orchestrator}: {coins(found.total_stake)} LPT, of that its own {coins(found.own_stake)}; "
        f"delegators found by {_source(found)}"
    )
    if found.differing:
        out.print(f"the chain says otherwise than the subgraph of: {', '.join(found.differing)}")
    table = Table("delegator", "LPT now", "ETH to draw", "since block", "moves", box=None)
    for one in found.found:
        moves = ", ".join(f"{move.what} {coins(abs(move.amount))}" for move in one.moves[-5:])
        since = str(one.moves[0].block) if one.moves else "-"
        table.add_row(one.address, coins(one.stake), coins(one.fees), since, moves)
    out.print(table)
    if found.unknown_stake > _DUST:
        out.print(f"{coins(found.unknown_stake)} LPT belong to delegators that moved nothing since; see --since-block")


def _source(found: "Delegators") -> str:
    logs = f"logs of the blocks {found.since} to {found.block}"
    return logs if found.differing is None else f"the subgraph, and {logs}"
