"""The duty `ledger`: books kept and compared with the chain, and what is told of the orchestrator's standing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from livefleet.chain import Transactions
from livefleet.health import Reading
from livefleet.kernel import Address
from livefleet.ledger import Ledger, NewsWatch, Parties
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import ActiveSetResource, LedgerResource, NewsResource
from livefleet.roles.base import RoleContext
from livefleet.roles.chain_link import ChainLink
from livefleet.roles.ledger_metrics import ledger_readings

__all__ = ["Bookkeeping", "open_bookkeeping"]

_PLACE_EVERY_S = 6 * 3600.0  # besides each round: a full pool takes two hundred requests


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """The loops, and what to show of them; without the duty there are none."""

    loops: tuple[ReconcileLoop[Any], ...] = ()
    books: LedgerResource | None = None
    place: ActiveSetResource | None = None

    def readings(self) -> list[Reading]:
        """For /metrics."""
        observed = self.books.observed if self.books is not None else None
        standing = self.place.standing if self.place is not None else None
        return ledger_readings(observed, standing)


@asynccontextmanager
async def open_bookkeeping(
    context: RoleContext, link: ChainLink, orchestrator: Address, keys: Mapping[str, Transactions]
) -> AsyncIterator[Bookkeeping]:
    """The loops of the duty, to be kept going with those of the chain. `keys`: the node's hot keys by name.

    Raises BadInput for a ledger file of another orchestrator.
    """
    spec, duty = context.spec, context.spec.duties.ledger
    if duty is None:
        yield Bookkeeping()
        return
    senders = tuple(keys.values())
    ledger = Ledger(
        link.client,
        spec.paths.ledger,
        Parties.of(orchestrator, *(sender.address for sender in senders)),
        gas=senders,
        begin_at=duty.begin_at,
    )

    def safe_block() -> int:
        return link.watcher.safe_block

    async with ledger:
        books = LedgerResource(ledger, safe_block, every_s=duty.check_every_s)
        place = ActiveSetResource(
            link.client, orchestrator, margin_percent=duty.warn_margin_percent, every_s=_PLACE_EVERY_S
        )
        watch = NewsWatch(
            link.client, orchestrator, spec.paths.state / "chain-news.json", stake_move_lpt=duty.stake_move_lpt
        )
        news = NewsResource(watch, safe_block, context.clock.now, every_s=duty.check_every_s)
        loops = tuple(ReconcileLoop(resource, context.board) for resource in (books, place, news))
        yield Bookkeeping(loops, books, place)
