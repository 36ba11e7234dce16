"""`livefleet agent store copy`: a node's file brought into the database that its spec names."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput

if TYPE_CHECKING:
    from livefleet.spec import NodeSpec

__all__ = ["store"]

_NODE_YAML = "/etc/livefleet/node.yaml"


@click.group()
def store() -> None:
    """Where the node keeps payments."""


@store.command()
@click.argument("node", type=click.Path(dir_okay=False, path_type=Path), default=_NODE_YAML)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def copy(node: Path, as_json: bool) -> None:
    """Bring NODE's own files into the shared database of its `store:`, all or nothing; the agent must be stopped.

    Secrets, nonces, balances, winning tickets and intents. Counts and sums are compared before anything is kept. A
    second run writes nothing and tells what is there. The files stay as they are and are not used any more.
    """
    from livefleet.kernel.pid_file import PID_FILE, holder_of
    from livefleet.spec import load_node

    spec = load_node(node)
    if spec.shared_store is None:
        raise BadInput(f"{node}: no `store:` with a database to copy to")
    if (pid := holder_of(spec.paths.run / PID_FILE)) is not None:
        raise BadInput(f"the agent runs (process {pid}); stop it first: what it takes meanwhile would be left behind")
    done = asyncio.run(_copy(spec))
    if as_json:
        print_json(done)
        return
    how = "was copied before" if done["already"] else "copied"
    console().print(
        f"{how}: {done['balances']} balances of {done['credit_wei']} wei, {done['nonces']} nonces, "
        f"{done['tickets']} winning tickets ({done['pending']} of {done['pending_value_wei']} wei pending), "
        f"{done['intents']} intents ({done['intents_written']} new)"
    )


async def _copy(spec: "NodeSpec") -> dict[str, Any]:
    from livefleet.chain.intents_copy import copy_intents
    from livefleet.payments.store_copy import copy_payments
    from livefleet.roles.stores import database_of, node_name, transactions_file

    assert spec.shared_store is not None  # looked at by the caller
    async with database_of(spec, spec.shared_store) as database:
        payments = await copy_payments(spec.paths.store, database, node=node_name(spec), chain_id=spec.network.chain_id)
        intents = await copy_intents(transactions_file(spec), database)
    return {
        "already": payments.already,
        "balances": payments.balances,
        "credit_wei": str(payments.credit),
        "nonces": payments.nonces,
        "tickets": payments.tickets,
        "pending": payments.pending,
        "pending_value_wei": payments.pending_value,
        "intents": intents.intents,
        "intents_written": intents.written,
    }
