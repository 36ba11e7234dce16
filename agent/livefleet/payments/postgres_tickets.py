"""Winning tickets and their sums, read from a shared database."""

from fractions import Fraction
from typing import Any

from livefleet.chain.postgres import Connection
from livefleet.kernel import Address, Wei, WinProb
from livefleet.payments.models import TicketCount
from livefleet.payments.postgres_batch import session_from
from livefleet.payments.records import LostTicket, StoredTicket, TicketState, Totals
from livefleet.payments.ticket import Ticket, WinningTicket

__all__ = ["closed_before", "lost_tickets", "node_totals", "pending_tickets", "recipient_totals", "tickets_of_node"]

_TICKET = (
    "SELECT recipient, sender, face_value, win_prob, sender_nonce, recipient_rand_hash, aux_data, signature, "
    "recipient_rand, expiration_block, state, session, received_at, note, tx_hash, paid FROM livefleet.tickets"
)
_SUMS = "SELECT state, sum(count) AS count, sum(value) AS value, sum(paid) AS paid FROM livefleet.ticket_sums"


async def node_totals(connection: Connection, node: int, received: TicketCount) -> Totals:
    """What one node won, and what became of it."""
    return _totals(await connection.fetch(f"{_SUMS} WHERE node = $1 GROUP BY state", node), received)


async def recipient_totals(connection: Connection, recipient: Address) -> Totals:
    """What all nodes won for a recipient, and what became of it."""
    return _totals(await connection.fetch(f"{_SUMS} WHERE recipient = $1 GROUP BY state", recipient), TicketCount())


async def pending_tickets(
    connection: Connection, *, node: int | None = None, recipient: Address | None = None
) -> list[StoredTicket]:
    """What a node, or all nodes for a recipient, have to redeem: by parameter expiry and then by value."""
    rows = await connection.fetch(
        f"{_TICKET} WHERE state = 'pending' AND ($1::integer IS NULL OR node = $1) "
        "AND ($2::text IS NULL OR recipient = $2) ORDER BY expiration_block, face_value DESC",
        *(node, recipient),
    )
    return [_stored(row) for row in rows]


async def lost_tickets(
    connection: Connection, since: float, limit: int, *, node: int | None = None, recipient: Address | None = None
) -> list[LostTicket]:
    """What a node, or all nodes of a recipient, lost at or after `since`, oldest first; the newest `limit`."""
    rows = await connection.fetch(
        "SELECT settled_at, sender, face_value, note FROM livefleet.tickets WHERE state = 'lost' "
        "AND settled_at >= $1 AND ($3::integer IS NULL OR node = $3) "
        "AND ($4::text IS NULL OR recipient = $4) ORDER BY settled_at DESC LIMIT $2",
        *(since, limit, node, recipient),
    )
    return [
        LostTicket(row["settled_at"], Address(row["sender"]), Wei(int(row["face_value"])), row["note"])
        for row in reversed(rows)
    ]


async def closed_before(connection: Connection, recipient: Address) -> int:
    """The lowest of the nodes' blocks, of those that have something pending, before which parameters are forgotten."""
    lowest = await connection.fetchval(
        "SELECT min(nonces_floor) FROM livefleet.nodes WHERE id IN "
        "(SELECT node FROM livefleet.tickets WHERE state = 'pending' AND recipient = $1)",
        recipient,
    )
    return int(lowest or 0)


async def tickets_of_node(connection: Connection, name: str) -> list[StoredTicket]:
    """A node's tickets in any state, newest first; none where the node was never there."""
    if await connection.fetchval("SELECT to_regclass('livefleet.tickets')") is None:
        return []
    rows = await connection.fetch(
        f"{_TICKET} WHERE node = (SELECT id FROM livefleet.nodes WHERE name = $1) "  # noqa: S608 -- own text
        "ORDER BY received_at DESC",
        name,
    )
    return [_stored(row) for row in rows]


def _totals(rows: list[Any], received: TicketCount) -> Totals:
    return Totals(
        received=received,
        by_state={
            TicketState(row["state"]): TicketCount(int(row["count"]), Fraction(int(row["value"]))) for row in rows
        },
        paid=Wei(sum(int(row["paid"]) for row in rows)),
    )


def _stored(row: Any) -> StoredTicket:
    ticket = Ticket(
        recipient=Address(row["recipient"]),
        sender=Address(row["sender"]),
        face_value=Wei(int(row["face_value"])),
        win_prob=WinProb(int(row["win_prob"])),
        sender_nonce=row["sender_nonce"],
        recipient_rand_hash=row["recipient_rand_hash"],
        aux_data=row["aux_data"],
    )
    return StoredTicket(
        winner=WinningTicket(ticket, row["signature"], int(row["recipient_rand"]), row["expiration_block"]),
        state=TicketState(row["state"]),
        session=session_from(row["session"]),
        received_at=row["received_at"],
        note=row["note"],
        tx_hash=row["tx_hash"],
        paid=None if row["paid"] is None else Wei(int(row["paid"])),
    )
