"""`livefleet agent ledger`: the books of the node on this machine, as JSON lines."""

import asyncio
from pathlib import Path

import click

__all__ = ["ledger"]

_NODE_YAML = "/etc/livefleet/node.yaml"


@click.command("ledger")
@click.argument("node", type=click.Path(dir_okay=False, path_type=Path), default=_NODE_YAML)
def ledger(node: Path) -> None:
    """Print the ledger of NODE and its winning tickets, one JSON document a line; `livefleet report` reads it.

    Nothing is changed, and nothing in it could redeem a ticket. Exit code 2: the node keeps no ledger.
    """
    from livefleet.ledger import dump_lines, read_ledger, ticket_line
    from livefleet.roles.stores import stored_tickets
    from livefleet.spec import load_node

    spec = load_node(node)
    owner, entries = read_ledger(spec.paths.ledger)
    stored = asyncio.run(stored_tickets(spec))
    for line in dump_lines(spec.name, owner, entries, map(ticket_line, stored)):
        click.echo(line)
