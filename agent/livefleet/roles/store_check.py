"""Whether the shared database is fit for this node, without changing anything in it."""

from livefleet.chain import DatabaseUnusable
from livefleet.chain.postgres_schema import PART as CHAIN
from livefleet.chain.postgres_schema import STEPS as CHAIN_STEPS
from livefleet.payments.postgres_schema import PART as PAYMENTS
from livefleet.payments.postgres_schema import STEPS as PAYMENTS_STEPS
from livefleet.roles.stores import database_of
from livefleet.spec import NodeSpec, StoreSettings

__all__ = ["check_database"]


async def check_database(spec: NodeSpec, shared: StoreSettings, chain_id: int | None) -> str:
    """A sentence about the database. `chain_id`: the node's chain; None where it is not known.

    Raises BadInput, DatabaseFailed, DatabaseUnusable, each with what to do.
    """
    async with database_of(spec, shared) as database:
        major, bound = await database.facts()
        versions = await database.versions()
        for part, known in ((CHAIN, len(CHAIN_STEPS)), (PAYMENTS, len(PAYMENTS_STEPS))):
            if (found := versions.get(part, 0)) > known:
                raise DatabaseUnusable(
                    f"{database.place} was written by a newer livefleet ({part} of version {found}, this one knows "
                    f"{known}); install that one here too"
                )
        if bound is None and not await database.may_create():
            raise DatabaseUnusable(
                f"{database.place}: the user may make no schema in it; as its owner: GRANT CREATE ON DATABASE … TO …"
            )
        if None not in (bound, chain_id) and bound != chain_id:
            raise DatabaseUnusable(
                f"{database.place} holds tickets of chain {bound}, this node is on chain {chain_id}; "
                "give it another database"
            )
    state = f"holds chain {bound}" if bound is not None else "is empty"
    return f"{database.place}, version {major}, commits synchronously, {state}"
