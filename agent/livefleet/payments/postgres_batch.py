"""One transaction's writes, in order: nonces decide what is credited, balances follow, winners are kept once.

A node's own rows (nonces, balances) are written by one process; tickets and their sums by any. Rows that several
processes write are locked in one order: tickets by hash, then sums by key.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import Any, assert_never

from livefleet.chain.postgres import Connection
from livefleet.kernel import SessionId
from livefleet.payments.balance import Account
from livefleet.payments.models import TicketCount
from livefleet.payments.records import (
    DebitRecord,
    ForgetBalances,
    ForgetTickets,
    PaymentRecord,
    PruneNonces,
    Settlement,
    TicketState,
    Write,
)
from livefleet.payments.ticket import WinningTicket

__all__ = ["Batch", "Undo", "session_from", "session_text", "take_back"]

_AccountWrite = PaymentRecord | DebitRecord | ForgetBalances
_Row = tuple[str, str | None, float]  # amount, fixed price, touched


@dataclass(slots=True)
class Undo:
    """What a transaction changed of its node's own rows."""

    balances: dict[Account, _Row | None] = field(default_factory=dict)  # as they were before; None: not there
    nonces: list[tuple[bytes, int]] = field(default_factory=list)  # that were not there before
    received: TicketCount = field(default_factory=TicketCount)  # as it was before


class Batch:
    """The writes of one transaction of one node. `credited` is filled by `apply`, one a write."""

    def __init__(self, connection: Connection, node: int, received: TicketCount) -> None:
        self._db = connection
        self._node = node
        self._sums: defaultdict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        self.received = received
        self.credited: list[Fraction] = []
        self.undo = Undo(received=received)
        self.sums_changed = False

    async def apply(self, writes: Sequence[Write]) -> None:
        """Write all, in order."""
        await self._lock_tickets([write.ticket_hash for write in writes if isinstance(write, Settlement)])
        for of_accounts, run in groupby(writes, lambda write: isinstance(write, _AccountWrite)):
            if of_accounts:
                accounts = [write for write in run if isinstance(write, _AccountWrite)]
                self.credited += await self._accounts(accounts)
            else:
                for write in run:
                    await self._apply_other(write)
                    self.credited.append(Fraction(0))
        await self._write_sums()

    async def _lock_tickets(self, hashes: Sequence[bytes]) -> None:
        """Tickets that several redeemers may settle at once are locked in one order: none waits for the other."""
        if len(hashes) > 1:
            await self._db.execute(
                "SELECT FROM livefleet.tickets WHERE hash = ANY($1::bytea[]) ORDER BY hash FOR UPDATE", list(hashes)
            )

    async def _apply_other(self, write: Write) -> None:
        match write:
            case Settlement():
                await self._settle(write)
            case PruneNonces(block):
                await self._prune(block)
            case ForgetTickets(before):
                await self._forget_tickets(before)
            case PaymentRecord() | DebitRecord() | ForgetBalances():
                raise AssertionError(write)  # `apply` takes these together
            case _:
                assert_never(write)

    async def _accounts(self, run: Sequence[_AccountWrite]) -> list[Fraction]:
        payments = [write for write in run if isinstance(write, PaymentRecord)]
        fresh = await self._add_nonces(payments)
        balances = await self._balances(run)
        before = dict(balances)
        credits_ = [self._change(write, balances, fresh) for write in run]
        await self._write_balances(balances, before)
        await self._add_winners(payments)
        return credits_

    def _change(
        self, write: _AccountWrite, balances: dict[Account, _Row | None], fresh: Counter[tuple[bytes, int]]
    ) -> Fraction:
        match write:
            case PaymentRecord():
                number = _taken(write, fresh)
                credit = number * write.ticket_value
                if number:
                    fixed = str(write.fixed_price) if write.fixed_price else None
                    balances[write.account] = _moved(balances[write.account], credit, fixed, write.at)
                    self.received = TicketCount(self.received.count + number, self.received.value + credit)
                return credit
            case DebitRecord(account, fee, at):
                balances[account] = _moved(balances[account], -fee, None, at)
            case ForgetBalances(accounts):
                balances.update(dict.fromkeys(accounts))
            case _:
                assert_never(write)
        return Fraction(0)

    async def _add_nonces(self, payments: Sequence[PaymentRecord]) -> Counter[tuple[bytes, int]]:
        """Write the nonces; those that were not there."""
        sets = {p.recipient_rand_hash: (p.expiration_block, p.account[0]) for p in reversed(payments) if p.nonces}
        pairs = [(p.recipient_rand_hash, nonce) for p in payments for nonce in p.nonces]
        if not pairs:
            return Counter()
        rows = await self._db.fetch(
            "WITH sets AS (INSERT INTO livefleet.commitments "
            "SELECT $1::integer, * FROM unnest($2::bytea[], $3::bigint[], $4::text[]) ON CONFLICT DO NOTHING) "
            "INSERT INTO livefleet.nonces SELECT $1::integer, * FROM unnest($5::bytea[], $6::bigint[]) "
            "ON CONFLICT DO NOTHING RETURNING recipient_rand_hash, nonce",
            self._node,
            list(sets),
            [block for block, _ in sets.values()],
            [sender for _, sender in sets.values()],
            [rand_hash for rand_hash, _ in pairs],
            [nonce for _, nonce in pairs],
        )
        fresh = Counter((bytes(rand_hash), nonce) for rand_hash, nonce in rows)
        self.undo.nonces += fresh
        return fresh

    async def _balances(self, run: Sequence[_AccountWrite]) -> dict[Account, _Row | None]:
        accounts = {account for write in run for account in _accounts_of(write)}
        rows = await self._db.fetch(
            "SELECT sender, session, amount, fixed_price, touched FROM livefleet.balances "
            "WHERE node = $1 AND (sender, session) IN (SELECT * FROM unnest($2::text[], $3::bytea[]))",
            self._node,
            *_columns(accounts),
        )
        found: dict[Account, _Row | None] = dict.fromkeys(accounts)
        for sender, session, amount, fixed_price, touched in rows:
            found[sender, session_from(session)] = (amount, fixed_price, touched)
        return found

    async def _write_balances(self, now: dict[Account, _Row | None], before: dict[Account, _Row | None]) -> None:
        changed = {account: row for account, row in now.items() if row != before[account]}
        self.undo.balances = {account: before[account] for account in changed} | self.undo.balances
        await _put_balances(self._db, self._node, changed)

    async def _add_winners(self, payments: Sequence[PaymentRecord]) -> None:
        # Of a ticket that comes twice the first counts.
        won = {winner.ticket.hash: (winner, payment) for payment in reversed(payments) for winner in payment.winners}
        if not won:
            return
        rows = [_ticket_row(self._node, *won[ticket_hash]) for ticket_hash in sorted(won)]
        added = await self._db.fetch(
            "INSERT INTO livefleet.tickets (hash, node, state, recipient, sender, face_value, win_prob, sender_nonce, "
            "recipient_rand_hash, aux_data, signature, recipient_rand, expiration_block, session, received_at) "
            "SELECT * FROM unnest($1::bytea[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::numeric[], "
            "$7::numeric[], $8::bigint[], $9::bytea[], $10::bytea[], $11::bytea[], $12::numeric[], $13::bigint[], "
            "$14::bytea[], $15::double precision[]) ON CONFLICT DO NOTHING RETURNING recipient, face_value",
            *(list(column) for column in zip(*rows, strict=True)),
        )
        for recipient, face_value in added:
            self._count(self._node, recipient, TicketState.PENDING, 1, int(face_value))

    async def _settle(self, end: Settlement) -> None:
        row = await self._db.fetchrow(
            "UPDATE livefleet.tickets SET state = $2, note = $3, tx_hash = $4, paid = $5, settled_at = $6 "
            "WHERE hash = $1 AND state = 'pending' RETURNING node, recipient, face_value",
            *(end.ticket_hash, end.state.value, end.note, end.tx_hash, end.paid, end.at),
        )
        if row is None:
            return
        node, recipient, value = row["node"], row["recipient"], int(row["face_value"])
        self._count(node, recipient, TicketState.PENDING, -1, -value)
        self._count(node, recipient, end.state, 1, value, int(end.paid or 0))

    async def _prune(self, block: int) -> None:
        await self._db.execute(
            "DELETE FROM livefleet.nonces WHERE node = $1 AND recipient_rand_hash IN "
            "(SELECT recipient_rand_hash FROM livefleet.commitments WHERE node = $1 AND expiration_block < $2)",
            *(self._node, block),
        )
        await self._db.execute(
            "WITH floor AS (UPDATE livefleet.nodes SET nonces_floor = greatest(nonces_floor, $2) WHERE id = $1) "
            "DELETE FROM livefleet.commitments WHERE node = $1 AND expiration_block < $2",
            *(self._node, block),
        )

    async def _forget_tickets(self, before: float) -> None:
        """Drop the rows of this node's; the sums stay."""
        await self._db.execute(
            "DELETE FROM livefleet.tickets WHERE node = $1 AND state <> 'pending' AND settled_at < $2",
            *(self._node, before),
        )

    def _count(self, node: int, recipient: str, state: TicketState, count: int, value: int, paid: int = 0) -> None:
        sums = self._sums[node, recipient, state.value]
        for index, by in enumerate((count, value, paid)):
            sums[index] += by

    async def _write_sums(self) -> None:
        if not self._sums:
            return
        rows = [(*key, *by) for key, by in sorted(self._sums.items())]
        await self._db.execute(
            "INSERT INTO livefleet.ticket_sums AS old SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], "
            "$4::bigint[], $5::numeric[], $6::numeric[]) ON CONFLICT (node, recipient, state) DO UPDATE SET "
            "count = old.count + excluded.count, value = old.value + excluded.value, paid = old.paid + excluded.paid",
            *(list(column) for column in zip(*rows, strict=True)),
        )
        self.sums_changed = True


async def take_back(connection: Connection, node: int, undo: Undo) -> None:
    """Undo a committed transaction whose payments were refused: its nonces and balances, so that they may come again.

    Winners stay, and settlements, and what was forgotten: writing them again changes nothing.
    """
    await connection.execute(
        "DELETE FROM livefleet.nonces WHERE node = $1 AND (recipient_rand_hash, nonce) IN "
        "(SELECT * FROM unnest($2::bytea[], $3::bigint[]))",
        *(node, [rand_hash for rand_hash, _ in undo.nonces], [nonce for _, nonce in undo.nonces]),
    )
    await _put_balances(connection, node, undo.balances)


async def _put_balances(connection: Connection, node: int, rows: dict[Account, _Row | None]) -> None:
    kept = {account: row for account, row in rows.items() if row is not None}
    if kept:
        values = list(kept.values())
        await connection.execute(
            "INSERT INTO livefleet.balances SELECT $1::integer, * FROM "
            "unnest($2::text[], $3::bytea[], $4::text[], $5::text[], $6::double precision[]) "
            "ON CONFLICT (node, sender, session) DO UPDATE SET amount = excluded.amount, "
            "fixed_price = excluded.fixed_price, touched = excluded.touched",
            node,
            *_columns(kept),
            *([row[index] for row in values] for index in range(3)),
        )
    if gone := rows.keys() - kept.keys():
        await connection.execute(
            "DELETE FROM livefleet.balances WHERE node = $1 AND (sender, session) IN "
            "(SELECT * FROM unnest($2::text[], $3::bytea[]))",
            node,
            *_columns(gone),
        )


def session_text(session: str) -> bytes:
    """A session's id as it is stored."""
    return session.encode()


def session_from(stored: bytes) -> SessionId:
    """The id that `session_text` stored."""
    return SessionId(stored.decode())


def _accounts_of(write: _AccountWrite) -> Iterator[Account]:
    if isinstance(write, ForgetBalances):
        yield from write.accounts
    else:
        yield write.account


def _columns(accounts: Any) -> tuple[list[str], list[bytes]]:
    ordered = list(accounts)
    return [sender for sender, _ in ordered], [session_text(session) for _, session in ordered]


def _taken(payment: PaymentRecord, fresh: Counter[tuple[bytes, int]]) -> int:
    """How many of the payment's nonces are fresh; they are so once."""
    number = 0
    for nonce in payment.nonces:
        key = (payment.recipient_rand_hash, nonce)
        if fresh[key]:
            fresh[key] -= 1
            number += 1
    return number


def _moved(row: _Row | None, by: Fraction, fixed_price: str | None, at: float) -> _Row:
    amount, fixed, _ = row or ("0", None, 0.0)
    return str(Fraction(amount) + by), fixed if fixed is not None else fixed_price, at


def _ticket_row(node: int, winner: WinningTicket, payment: PaymentRecord) -> tuple[Any, ...]:
    ticket = winner.ticket
    return (
        *(ticket.hash, node, TicketState.PENDING.value, ticket.recipient, ticket.sender),
        *(ticket.face_value, ticket.win_prob, ticket.sender_nonce, ticket.recipient_rand_hash, ticket.aux_data),
        *(winner.signature, winner.recipient_rand, winner.expiration_block),
        *(session_text(payment.account[1]), payment.at),
    )
