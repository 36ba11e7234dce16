"""The time before the books, found by the declared subgraph and read again at the chain."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from livefleet.cli.chain.where import Where, find_where
from livefleet.cli.report.books import Asked
from livefleet.kernel import BadInput

if TYPE_CHECKING:
    from livefleet.ledger import History

__all__ = ["with_history"]


def with_history(asked: Asked) -> Asked:
    """The books with what came before. Raises BadInput where no subgraph is declared, OutsideWorld where it fails."""
    where = find_where(asked.fleet, None, (), None, None)
    if where.network.subgraph is None:
        raise BadInput(f"{asked.fleet}: --history needs `network.subgraph` with its url")
    begun = asked.books.opened_at()
    if begun is None:
        raise BadInput("there are no books to put a history before")
    found = asyncio.run(_read(where, begun))
    told = f"before block {begun}: {len(found.entries)} entries of the subgraph's transactions, read at the chain"
    click.echo(f"{told}; own parts of that time are not known", err=True)
    if found.missing:
        click.echo(f"{found.missing} transaction(s) of the subgraph are not where it says on this chain", err=True)
    return replace(asked, books=asked.books.with_history(found.entries))


async def _read(where: Where, before: int) -> "History":
    from livefleet.chain import connect
    from livefleet.ledger import SubgraphClient, read_history

    assert where.network.subgraph is not None
    async with SubgraphClient(where.network.subgraph.url, where.subgraph_key()) as subgraph:
        events = await subgraph.past_events(where.address)
    async with await connect(where.network) as client:
        return await read_history(client, where.address, events, before=before)
